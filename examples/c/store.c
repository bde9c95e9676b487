/* See store.h. */
#define _POSIX_C_SOURCE 200809L

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static bool no(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, STORE_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool write_whole(int file, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(file, text, bytes);
        if (written < 0 && errno != EINTR)
            return false;
        text += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* A new file is there after a power cut only if its directory was synchronised, too. */
static bool sync_directory_of(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY);
    bool synced = directory >= 0 && fsync(directory) == 0;
    if (directory >= 0)
        close(directory);
    return synced;
}

/* --- The state file ------------------------------------------------------------------------------------------------------ */

static bool take_text(const cJSON *tree, const char *key, char *text, size_t bytes)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(tree, key);
    return cJSON_IsString(found) && snprintf(text, bytes, "%s", found->valuestring) < (int)bytes;
}

bool state_read(const char *path, struct state *state, char *error)
{
    char text[8192];
    FILE *file = fopen(path, "r");
    error[0] = '\0';
    if (file == NULL && errno == ENOENT)
        return false;
    if (file == NULL)
        return no(error, "%s cannot be read (%s); check its permissions.", path, strerror(errno));
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    *state = (struct state){0};
    cJSON *tree = cJSON_ParseWithLength(text, bytes);
    bool whole = take_text(tree, "client_id", state->client_id, sizeof state->client_id)
        && take_text(tree, "run_id", state->run_id, sizeof state->run_id)
        && take_text(tree, "cmd_id", state->cmd_id, sizeof state->cmd_id)
        && take_text(tree, "slide_id", state->slide_id, sizeof state->slide_id)
        && leuko_get_int64(tree, "next_trigger", &state->next_trigger);
    state->max_fields.present = leuko_get_int64(tree, "max_fields", &state->max_fields.value);
    cJSON_Delete(tree);
    return whole || no(error, "%s is no state file of this program; give another path.", path);
}

static bool add_integer(cJSON *tree, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return cJSON_AddStringToObject(tree, key, digits) != NULL;
}

static char *state_text(const struct state *state)
{
    cJSON *tree = cJSON_CreateObject();
    bool whole = cJSON_AddStringToObject(tree, "client_id", state->client_id) != NULL
        && cJSON_AddStringToObject(tree, "run_id", state->run_id) != NULL
        && cJSON_AddStringToObject(tree, "cmd_id", state->cmd_id) != NULL
        && cJSON_AddStringToObject(tree, "slide_id", state->slide_id) != NULL
        && (!state->max_fields.present || add_integer(tree, "max_fields", state->max_fields.value))
        && add_integer(tree, "next_trigger", state->next_trigger);
    char *text = whole ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    return text;
}

bool state_write(const char *path, const struct state *state, char *error)
{
    char aside[PATH_MAX];
    if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside)
        return no(error, "the path of the state file has more than %d bytes; give a shorter one.", PATH_MAX - 5);
    char *text = state_text(state);
    if (text == NULL)
        return no(error, "there is no memory left for the state file.");
    int file = open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool written = file >= 0 && write_whole(file, text, strlen(text)) && fsync(file) == 0;
    int problem = errno;
    if (file >= 0)
        close(file);
    cJSON_free(text);
    if (written && rename(aside, path) == 0 && sync_directory_of(path))
        return true;
    return no(error, "%s cannot be written (%s); check its directory, and that there is room.", path,
              strerror(written ? errno : problem));
}

/* --- The file of records ------------------------------------------------------------------------------------------------- */

static void take(struct store *store, struct leuko_record *record)
{
    leuko_record_free(&store->last);
    store->last = *record;
    *record = (struct leuko_record){0};
    store->next_seq = store->last.seq + 1;
    store->n_fields += store->last.type == LEUKO_FIELD;
}

/* Whole lines only: what follows the last line end was written when the process or the machine went down. */
static bool read_lines(struct store *store, const char *path, const char *run_id, char *error)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    bool good = true;
    while (good && (bytes = getline(&line, &room, store->lines)) > 0 && line[bytes - 1] == '\n') {
        char why[256] = "it is not the record that is due there";
        struct leuko_record record;
        if (leuko_decode(line, (size_t)bytes - 1, &record, why, sizeof why) == LEUKO_OK && record.seq == store->next_seq
            && strcmp(record.run_id, run_id) == 0) {
            take(store, &record);
            store->end += bytes;
        } else
            good = no(error,
                      "line %" PRId64 " of %s is not seq %" PRId64 " of run %s (%s); give another file, or its state file.",
                      store->next_seq + 1, path, store->next_seq, run_id, why);
        leuko_record_free(&record);
    }
    free(line);
    return good && (!ferror(store->lines) || no(error, "%s cannot be read (%s).", path, strerror(errno)));
}

bool store_open(struct store *store, const char *path, const char *run_id, char *error)
{
    *store = (struct store){.file = open(path, O_RDWR | O_CREAT | O_APPEND, 0644)};
    if (store->file < 0)
        return no(error, "%s cannot be opened (%s); check its directory.", path, strerror(errno));
    struct flock alone = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(store->file, F_SETLK, &alone) != 0)
        return no(error, "another process writes to %s; stop it first.", path);
    /* Not closed before the end: that would give back the lock. */
    store->lines = fdopen(store->file, "r");
    if (store->lines == NULL)
        return no(error, "%s cannot be read (%s).", path, strerror(errno));
    if (!read_lines(store, path, run_id, error))
        return false;
    if (ftruncate(store->file, store->end) != 0 || fsync(store->file) != 0 || !sync_directory_of(path))
        return no(error, "%s cannot be written (%s); check its directory, and that there is room.", path, strerror(errno));
    return true;
}

bool store_append(struct store *store, struct leuko_record *record, char *error)
{
    /* JSON has no line end but between its tokens, where a blank means the same. */
    for (char *at = record->json; (at = strpbrk(at, "\r\n")) != NULL;)
        *at = ' ';
    record->json[record->json_bytes] = '\n';
    bool written = write_whole(store->file, record->json, record->json_bytes + 1);
    record->json[record->json_bytes] = '\0';
    if (!written)
        return no(error, "a record cannot be stored (%s); make room and start again.", strerror(errno));
    store->end += (off_t)record->json_bytes + 1;
    take(store, record);
    return true;
}

bool store_sync(struct store *store, char *error)
{
    return fsync(store->file) == 0 || no(error, "the records cannot be synchronised to the disk (%s).", strerror(errno));
}

void store_close(struct store *store)
{
    if (store->lines != NULL)
        fclose(store->lines);
    else if (store->file >= 0)
        close(store->file);
    leuko_record_free(&store->last);
}
