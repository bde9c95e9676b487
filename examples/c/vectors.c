/* Reads every golden vector of a folder (docs/vectors) and prints what it holds, for a comparison with other readers.
 *
 * One line a value: the vector, the place of the value in it, the value as JSON, separated by tabs. 64-bit integers are printed
 * as the numbers they were read as; a place that begins with `@` is one of struct leuko_record. Exit code 1 when a vector
 * cannot be read, or a message that an edge must refuse was taken for a record.
 */
#define _POSIX_C_SOURCE 200809L

#include "leuko.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_FILE (LEUKO_FROM_EDGE_MAX_BYTES + 1)

static const char *vector; /* that is read at the moment */
static int bad;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", vector);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    bad++;
}

static char *read_file(const char *folder, const char *name, size_t *bytes)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    char *text = file == NULL ? NULL : malloc(LARGEST_FILE);
    *bytes = text == NULL ? 0 : fread(text, 1, LARGEST_FILE, file);
    if (text == NULL)
        complain("%s cannot be read", path);
    if (file != NULL)
        fclose(file);
    return text;
}

/* --- What a reader without a schema sees --------------------------------------------------------------------------------- */

/* By its key, as docs/protocol.md names them. */
static bool is_int64(const char *key)
{
    size_t n = key == NULL ? 0 : strlen(key);
    bool has_unit = n > 3 && (strcmp(key + n - 3, "_ns") == 0 || strcmp(key + n - 3, "_nm") == 0);
    return has_unit || (key != NULL && (strcmp(key, "nonce") == 0 || strcmp(key, "frame_id") == 0 || strcmp(key, "attempt") == 0));
}

static void print_text(const char *place, const char *value)
{
    cJSON *item = cJSON_CreateStringReference(value);
    char *text = cJSON_PrintUnformatted(item);
    printf("%s\t%s\t%s\n", vector, place, text);
    cJSON_free(text);
    cJSON_Delete(item);
}

static void print_leaf(const char *place, const cJSON *object, const cJSON *leaf)
{
    int64_t value;
    if (cJSON_IsString(leaf) && is_int64(leaf->string)) {
        char again[24];
        if (!leuko_get_int64(object, leaf->string, &value)) {
            complain("%s is no exact 64-bit integer", place);
            return;
        }
        snprintf(again, sizeof again, "%" PRId64, value);
        if (strcmp(again, leaf->valuestring) != 0)
            complain("%s was read as %s and is %s", place, again, leaf->valuestring);
        printf("%s\t%s\t%s\n", vector, place, again);
    } else if (cJSON_IsNumber(leaf) && leaf->string != NULL && leuko_get_integer(object, leaf->string, &value))
        printf("%s\t%s\t%" PRId64 "\n", vector, place, value);
    else if (cJSON_IsNumber(leaf))
        printf("%s\t%s\t%.17g\n", vector, place, leaf->valuedouble);
    else if (cJSON_IsString(leaf))
        print_text(place, leaf->valuestring);
    else
        printf("%s\t%s\t%s\n", vector, place, cJSON_IsNull(leaf) ? "null" : cJSON_IsTrue(leaf) ? "true" : "false");
}

static void print_tree(const char *place, const cJSON *tree)
{
    const cJSON *each;
    char inner[512];
    int at = 0;
    if (tree->child == NULL)
        printf("%s\t%s\t%s\n", vector, place, cJSON_IsArray(tree) ? "[]" : "{}");
    cJSON_ArrayForEach(each, tree) {
        const char *dot = place[0] == '\0' ? "" : ".";
        if (each->string != NULL)
            snprintf(inner, sizeof inner, "%s%s%s", place, dot, each->string);
        else
            snprintf(inner, sizeof inner, "%s%s%d", place, dot, at);
        at++;
        if (cJSON_IsObject(each) || cJSON_IsArray(each))
            print_tree(inner, each);
        else
            print_leaf(inner, tree, each);
    }
}

/* --- What struct leuko_record holds -------------------------------------------------------------------------------------- */

static void print_integer(const char *place, int64_t value) { printf("%s\t@%s\t%" PRId64 "\n", vector, place, value); }

static void print_optional(const char *place, struct leuko_optional value)
{
    if (value.present)
        print_integer(place, value.value);
    else
        printf("%s\t@%s\tnull\n", vector, place);
}

static void print_flag(const char *place, bool value) { printf("%s\t@%s\t%s\n", vector, place, value ? "true" : "false"); }

static void print_number(const char *place, double value) { printf("%s\t@%s\t%.17g\n", vector, place, value); }

static void print_counts(const char *place, const struct leuko_counts *counts)
{
    char inner[512];
    for (size_t at = 0; at < counts->n; at++) {
        snprintf(inner, sizeof inner, "%s.%s", place, counts->each[at].name);
        print_integer(inner, counts->each[at].count);
    }
}

static void print_field(const struct leuko_field *field)
{
    print_text("@trigger_id", field->trigger_id);
    print_integer("field_index", field->field_index);
    print_optional("frame_id", field->frame_id);
    print_text("@source_name", field->source_name);
    print_integer("status number", field->status);
    print_text("@status", field->status_name);
    print_text("@detail", field->detail);
    print_optional("stage.x_nm", (struct leuko_optional){field->stage.present, field->stage.x_nm});
    print_optional("stage.y_nm", (struct leuko_optional){field->stage.present, field->stage.y_nm});
    print_integer("t_host_ns", field->t_host_ns);
    print_optional("t_camera_ns", field->t_camera_ns);
    print_counts("counts", &field->counts);
    print_counts("running.fields", &field->running.fields);
    print_counts("running.cells", &field->running.cells);
    print_integer("running.wbc_total", field->running.wbc_total);
    print_flag("counted", field->counted);
    print_flag("overflow", field->overflow);
}

static void print_run_stop(const struct leuko_run_stop *stop)
{
    print_integer("outcome number", stop->outcome);
    print_text("@outcome", stop->outcome_name);
    print_text("@detail", stop->detail);
    print_integer("triggers", stop->triggers);
    print_counts("fields", &stop->fields);
    print_counts("cells", &stop->cells);
    print_flag("sums_match", stop->sums_match);
    print_number("duration_s", stop->duration_s);
    print_integer("differential.wbc_total", stop->differential.wbc_total);
    for (size_t at = 0; at < stop->differential.n_rows; at++) {
        const struct leuko_row *row = &stop->differential.rows[at];
        const double limits[] = {row->percent, row->low_percent, row->high_percent};
        const char *names[] = {"percent", "low_percent", "high_percent"};
        char place[64];
        snprintf(place, sizeof place, "@differential.rows.%zu.label", at);
        print_text(place, row->label);
        snprintf(place, sizeof place, "differential.rows.%zu.count", at);
        print_integer(place, row->count);
        for (size_t limit = 0; limit < 3; limit++) {
            snprintf(place, sizeof place, "differential.rows.%zu.%s", at, names[limit]);
            print_number(place, limits[limit]);
        }
    }
}

static void print_record(const struct leuko_record *record)
{
    print_text("@type", record->type_name);
    print_integer("type number", record->type);
    print_text("@run_id", record->run_id);
    print_integer("seq", record->seq);
    print_text("@wall_time", record->wall_time);
    if (record->type == LEUKO_FIELD)
        print_field(&record->field);
    if (record->type == LEUKO_RUN_STOP)
        print_run_stop(&record->run_stop);
}

/* --- The vectors --------------------------------------------------------------------------------------------------------- */

/* Records are in lower case; telemetry, too, but nobody who counts reads it. */
static void accept(const char *text, size_t bytes, const char *direction, const char *type)
{
    struct leuko_record record;
    char error[512];
    cJSON *tree = cJSON_ParseWithLength(text, bytes);
    if (!cJSON_IsObject(tree))
        complain("it is no JSON object");
    else
        print_tree("", tree);
    cJSON_Delete(tree);
    if (strcmp(direction, "from_edge") != 0 || type[0] < 'a' || type[0] > 'z')
        return;
    if (leuko_decode(text, bytes, &record, error, sizeof error) == LEUKO_OK)
        print_record(&record);
    else
        complain("%s", error);
    leuko_record_free(&record);
}

static void refuse(const char *text, size_t bytes)
{
    struct leuko_record record;
    char error[512];
    if (leuko_decode(text, bytes, &record, error, sizeof error) == LEUKO_OK)
        complain("it was taken for a record");
    leuko_record_free(&record);
}

static const char *get(const cJSON *object, const char *key)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(found) ? found->valuestring : "";
}

int main(int n, char **words)
{
    const char *folder = n > 1 ? words[1] : "../../docs/vectors";
    size_t bytes;
    vector = "index.json";
    char *text = read_file(folder, vector, &bytes);
    cJSON *index = cJSON_ParseWithLength(text == NULL ? "" : text, bytes);
    const cJSON *entry;
    if (cJSON_GetArraySize(index) == 0)
        complain("it lists no vectors");
    free(text);
    cJSON_ArrayForEach(entry, index) {
        vector = get(entry, "json"); /* of some there is only MessagePack, which this client does not speak */
        if (vector[0] == '\0' || (text = read_file(folder, vector, &bytes)) == NULL)
            continue;
        if (strcmp(get(entry, "expect"), "reject") == 0)
            refuse(text, bytes);
        else
            accept(text, bytes, get(entry, "direction"), get(entry, "type"));
        free(text);
    }
    cJSON_Delete(index);
    return bad > 0;
}
