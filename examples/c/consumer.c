/* A controller that can be killed at any moment: whatever happens to it, its file ends with every record once and in order.
 *
 * It starts a run, or goes on with the one of its state file; `consumer` alone prints how it is called.
 */
#define _POSIX_C_SOURCE 200809L

#include "leuko.h"
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 200 /* how soon a signal is noticed */

/* As in the table of the README, and 9: the edge broke the protocol. */
enum { DONE = 0, RUN_FAILED = 1, BAD_ARGUMENT = 2, NO_CONNECTION = 6, NO_STORAGE = 8, EDGE_DEFECT = 9 };

static const char USAGE[] =
    "usage: consumer ENDPOINT STATE_FILE [option value]...\n"
    "  --out FILE          the records, one a line (STATE_FILE.jsonl)\n"
    "  --client-id NAME    of this controller, for a new state file\n"
    "  --slide NAME        of a new run\n"
    "  --max-fields N      of a new run\n"
    "  --trigger N         a triggered camera: announce N exposures, then stop the run\n"
    "  --key FILE          own key_secret file, and\n"
    "  --edge-key FILE     the edge's key file, if it has keys\n"
    "  --dead-after-ms N   nothing heard for so long: the edge is gone (5000)\n"
    "  --reconnect-ms N    how long it is searched for then (10000)\n"
    "  --answer-ms N       how long an answer is waited for (5000)\n"
    "  --retry-ms N        an unanswered command is repeated so often (1000)\n";

struct arguments {
    const char *state_path;
    char out_path[PATH_MAX];
    const char *client_id, *slide_id;
    struct leuko_optional max_fields, triggers;
    struct leuko_options edge;
};

struct consumer {
    struct arguments arguments;
    struct state state;
    struct store store;
    struct leuko *edge;
    bool stopping;
    char error[STORE_ERROR_BYTES];
};

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

/* --- Arguments ----------------------------------------------------------------------------------------------------------- */

static bool take_number(const char *value, int64_t largest, int64_t *number)
{
    char *end;
    errno = 0;
    long long read = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || read < 0 || read > largest)
        return false;
    *number = read;
    return true;
}

static bool take_argument(struct arguments *arguments, const char *name, const char *value)
{
    const struct {
        const char *name, **text;
        int64_t *number;
        bool *present;
    } known[] = {
        {"--client-id", &arguments->client_id, NULL, NULL},
        {"--slide", &arguments->slide_id, NULL, NULL},
        {"--key", &arguments->edge.key_file, NULL, NULL},
        {"--edge-key", &arguments->edge.edge_key_file, NULL, NULL},
        {"--max-fields", NULL, &arguments->max_fields.value, &arguments->max_fields.present},
        {"--trigger", NULL, &arguments->triggers.value, &arguments->triggers.present},
        {"--dead-after-ms", NULL, &arguments->edge.dead_after_ms, NULL},
        {"--reconnect-ms", NULL, &arguments->edge.reconnect_ms, NULL},
        {"--answer-ms", NULL, &arguments->edge.answer_ms, NULL},
        {"--retry-ms", NULL, &arguments->edge.retry_ms, NULL},
    };
    if (strcmp(name, "--out") == 0)
        return snprintf(arguments->out_path, sizeof arguments->out_path, "%s", value) < (int)sizeof arguments->out_path;
    for (size_t at = 0; at < sizeof known / sizeof *known; at++) {
        if (strcmp(name, known[at].name) != 0)
            continue;
        if (known[at].text != NULL) {
            *known[at].text = value;
            return strlen(value) <= LEUKO_NAME_MAX_BYTES;
        }
        if (known[at].present != NULL)
            *known[at].present = true;
        return take_number(value, LEUKO_EXACT_MAX, known[at].number);
    }
    return false;
}

static bool take_arguments(int n, char **words, struct arguments *arguments)
{
    if (n < 3 || n % 2 != 1)
        return false;
    *arguments = (struct arguments){.state_path = words[2], .edge = leuko_defaults(words[1], NULL)};
    int bytes = snprintf(arguments->out_path, sizeof arguments->out_path, "%s.jsonl", words[2]);
    for (int at = 3; at < n; at += 2)
        if (!take_argument(arguments, words[at], words[at + 1])) {
            fprintf(stderr, "consumer: %s %s is no option, or its value cannot be used.\n", words[at], words[at + 1]);
            return false;
        }
    if (arguments->edge.ping_every_ms > arguments->edge.dead_after_ms / 3)
        arguments->edge.ping_every_ms = arguments->edge.dead_after_ms / 3 + 1;
    return bytes < (int)sizeof arguments->out_path;
}

/* --- What is printed ----------------------------------------------------------------------------------------------------- */

static void print_counts(const struct leuko_counts *counts)
{
    for (size_t at = 0; at < counts->n; at++)
        printf("%s %s %" PRId64, at == 0 ? "" : ",", counts->each[at].name, counts->each[at].count);
}

static void print_record(const struct leuko_record *record)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(record->tree, record->type == LEUKO_ADVICE ? "advice" : "code");
    const cJSON *why = cJSON_GetObjectItemCaseSensitive(record->tree, record->type == LEUKO_ADVICE ? "reason" : "message");
    if (record->type == LEUKO_FIELD) {
        const struct leuko_field *field = &record->field;
        printf("%" PRId64 "  %s", field->field_index, field->status_name);
        print_counts(&field->counts);
        printf("%s%s  (WBC so far: %" PRId64 ")\n", field->detail[0] == '\0' ? "" : "  ", field->detail,
               field->running.wbc_total);
    } else if (cJSON_IsString(code) && cJSON_IsString(why))
        printf("%s: %s: %s\n", record->type_name, code->valuestring, why->valuestring);
}

/* The end of the run, and what it means for this process. */
static int conclude(const struct leuko_record *record)
{
    const struct leuko_run_stop *stop = &record->run_stop;
    printf("run %s: %s%s%s, %" PRId64 " triggers:", record->run_id, stop->outcome_name, stop->detail[0] == '\0' ? "" : ", ",
           stop->detail, stop->triggers);
    print_counts(&stop->fields);
    printf("\n%-24s %10s %9s  95 %% limits\n", "", "count", "percent");
    for (size_t at = 0; at < stop->differential.n_rows; at++) {
        const struct leuko_row *row = &stop->differential.rows[at];
        printf("%-24s %10" PRId64 " %9.2f  %.2f to %.2f\n", row->label, row->count, row->percent, row->low_percent,
               row->high_percent);
    }
    printf("%-24s %10" PRId64 "\n", "leukocytes", stop->differential.wbc_total);
    if (!stop->sums_match)
        fprintf(stderr, "consumer: the run's triggers and fields do not agree; report this as a defect of the edge.\n");
    return stop->sums_match && (stop->outcome == LEUKO_COMPLETED || stop->outcome == LEUKO_STOPPED) ? DONE : RUN_FAILED;
}

static int explain(const struct consumer *consumer, int status)
{
    fprintf(stderr, "consumer: %s\n", leuko_error(consumer->edge));
    switch (status) {
    case LEUKO_USAGE: return BAD_ARGUMENT;
    case LEUKO_DEFECT: return EDGE_DEFECT;
    case LEUKO_NO_MEMORY: return NO_STORAGE;
    default: return NO_CONNECTION;
    }
}

static int no_storage(const struct consumer *consumer)
{
    fprintf(stderr, "consumer: %s\n", consumer->error);
    return NO_STORAGE;
}

/* --- The run ------------------------------------------------------------------------------------------------------------- */

/* The names of a new run are on disk before the edge hears of it: only so can a RUN_START be repeated after a kill. */
static bool invent(struct consumer *consumer)
{
    struct state *state = &consumer->state;
    char invented[LEUKO_UUID_BYTES];
    if (!leuko_uuid(invented) || !leuko_uuid(state->run_id) || !leuko_uuid(state->cmd_id)) {
        snprintf(consumer->error, sizeof consumer->error, "the system gives no random numbers for the name of a run.");
        return false;
    }
    const char *client_id = consumer->arguments.client_id != NULL ? consumer->arguments.client_id : invented;
    const char *slide_id = consumer->arguments.slide_id != NULL ? consumer->arguments.slide_id : "";
    snprintf(state->client_id, sizeof state->client_id, "%s", client_id);
    snprintf(state->slide_id, sizeof state->slide_id, "%s", slide_id);
    state->max_fields = consumer->arguments.max_fields;
    return state_write(consumer->arguments.state_path, state, consumer->error);
}

/* A run that was ended, for example because the edge was restarted, takes no commands; what is left are its records. */
static bool has_ended(const struct consumer *consumer)
{
    const cJSON *run, *runs = cJSON_GetObjectItemCaseSensitive(leuko_welcome(consumer->edge), "runs");
    cJSON_ArrayForEach(run, runs)
    {
        const cJSON *run_id = cJSON_GetObjectItemCaseSensitive(run, "run_id");
        if (cJSON_IsString(run_id) && strcmp(run_id->valuestring, consumer->state.run_id) == 0)
            return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(run, "finished"));
    }
    return false;
}

/* Where the file ends, the run goes on; one that the edge has never heard of is started. */
static int enter(struct consumer *consumer, bool is_new)
{
    struct state *state = &consumer->state;
    const struct leuko_run run = {
        .cmd_id = state->cmd_id, .run_id = state->run_id, .slide_id = state->slide_id[0] == '\0' ? NULL : state->slide_id,
        .max_fields = state->max_fields,
    };
    const cJSON *boot_id = cJSON_GetObjectItemCaseSensitive(consumer->store.last.tree, "boot_id");
    int status = is_new ? LEUKO_REFUSED : leuko_open(consumer->edge, state->run_id, consumer->store.next_seq,
                                                     cJSON_GetStringValue(boot_id));
    consumer->stopping = status == LEUKO_OK && has_ended(consumer);
    bool unknown = is_new || (consumer->store.next_seq == 0 && strcmp(leuko_refusal(consumer->edge), "unknown_run") == 0);
    if (status != LEUKO_REFUSED || !unknown)
        return status;
    status = leuko_open(consumer->edge, NULL, 0, NULL);
    if (status == LEUKO_OK)
        status = leuko_run_start(consumer->edge, &run);
    /* Under this cmd_id the edge would say the same again, so the next attempt has another; a run that did start is resumed. */
    bool renamed = status == LEUKO_REFUSED && leuko_uuid(state->cmd_id);
    if (renamed && !state_write(consumer->arguments.state_path, state, consumer->error))
        fprintf(stderr, "consumer: %s\n", consumer->error);
    return status;
}

static bool may_announce(const struct consumer *consumer)
{
    int64_t next = consumer->state.next_trigger;
    return !consumer->stopping && next < consumer->arguments.triggers.value && next < leuko_trigger_until(consumer->edge).value;
}

/* REJECTED `state`: the run is ending by itself, and run_stop follows. Everything else ends this process. */
static int not_now(struct consumer *consumer, int status)
{
    consumer->stopping = status == LEUKO_REFUSED && strcmp(leuko_refusal(consumer->edge), "state") == 0;
    return consumer->stopping ? DONE : explain(consumer, status);
}

/* One exposure. That its pulse is due is on disk before the pulse: killed in between it is left out, but never given twice. */
static int announce(struct consumer *consumer)
{
    char cmd_id[LEUKO_UUID_BYTES + 32], trigger_id[32];
    int64_t next = consumer->state.next_trigger;
    snprintf(trigger_id, sizeof trigger_id, "t-%" PRId64, next);
    snprintf(cmd_id, sizeof cmd_id, "%s/%s", consumer->state.run_id, trigger_id);
    int status = leuko_trigger(consumer->edge, &(struct leuko_trigger){cmd_id, trigger_id, next, {false, 0, 0}});
    if (status != LEUKO_OK)
        return not_now(consumer, status);
    consumer->state.next_trigger++;
    if (!state_write(consumer->arguments.state_path, &consumer->state, consumer->error))
        return no_storage(consumer);
    printf("%s accepted: pulse now\n", trigger_id);
    return DONE;
}

static int stop(struct consumer *consumer)
{
    char cmd_id[LEUKO_UUID_BYTES + 8];
    snprintf(cmd_id, sizeof cmd_id, "%s/stop", consumer->state.run_id);
    int status = leuko_run_stop(consumer->edge, cmd_id);
    if (status != LEUKO_OK)
        return not_now(consumer, status);
    consumer->stopping = true;
    return DONE;
}

/* The next exposure, or the end that was asked for. */
static int command(struct consumer *consumer)
{
    const struct leuko_optional *triggers = &consumer->arguments.triggers;
    if (consumer->stopping)
        return DONE;
    if (triggers->present && !leuko_trigger_until(consumer->edge).present) {
        fprintf(stderr, "consumer: this edge's source paces itself; leave out --trigger, and the run goes on.\n");
        return BAD_ARGUMENT;
    }
    if (may_announce(consumer))
        return announce(consumer);
    if (stop_asked || (triggers->present && consumer->store.n_fields >= triggers->value))
        return stop(consumer);
    return DONE;
}

/* Store, synchronise, and only then acknowledge: once for all the records that have come meanwhile. */
static int perform(struct consumer *consumer)
{
    int64_t unsynced = 0;
    while (unsynced > 0 || consumer->store.last.type != LEUKO_RUN_STOP) {
        struct leuko_record record;
        int status = leuko_receive(consumer->edge, &record, unsynced > 0 || may_announce(consumer) ? 0 : WAIT_MS);
        if (status != LEUKO_OK && status != LEUKO_TIMEOUT)
            return explain(consumer, status);
        if (status == LEUKO_OK) {
            print_record(&record);
            bool stored = store_append(&consumer->store, &record, consumer->error);
            leuko_record_free(&record);
            if (!stored)
                return no_storage(consumer);
            unsynced++;
        }
        if (unsynced > consumer->arguments.edge.window / 4 || (status == LEUKO_TIMEOUT && unsynced > 0)) {
            if (!store_sync(&consumer->store, consumer->error))
                return no_storage(consumer);
            if ((status = leuko_acknowledge(consumer->edge, consumer->store.next_seq - 1)) != LEUKO_OK)
                return explain(consumer, status);
            unsynced = 0;
        }
        int commanded = consumer->store.last.type == LEUKO_RUN_STOP ? DONE : command(consumer);
        if (commanded != DONE)
            return commanded;
    }
    return conclude(&consumer->store.last);
}

static int run(struct consumer *consumer)
{
    struct arguments *arguments = &consumer->arguments;
    bool is_new = !state_read(arguments->state_path, &consumer->state, consumer->error);
    if (is_new && (consumer->error[0] != '\0' || !invent(consumer)))
        return no_storage(consumer);
    if (!store_open(&consumer->store, arguments->out_path, consumer->state.run_id, consumer->error))
        return no_storage(consumer);
    arguments->edge.client_id = consumer->state.client_id;
    consumer->edge = leuko_create(&arguments->edge);
    if (consumer->edge == NULL) {
        snprintf(consumer->error, sizeof consumer->error, "there is no memory left for a session.");
        return no_storage(consumer);
    }
    int status = enter(consumer, is_new);
    if (consumer->store.last.type == LEUKO_RUN_STOP) {
        /* The last ACK may not have arrived; leuko_open has repeated it. An edge that got it has ended. */
        if (status != LEUKO_OK)
            fprintf(stderr, "consumer: the run is whole in %s, but %s\n", arguments->out_path, leuko_error(consumer->edge));
        return conclude(&consumer->store.last);
    }
    return status == LEUKO_OK ? perform(consumer) : explain(consumer, status);
}

int main(int n, char **words)
{
    static struct consumer consumer = {.store.file = -1};
    if (!take_arguments(n, words, &consumer.arguments)) {
        fputs(USAGE, stderr);
        return BAD_ARGUMENT;
    }
    struct sigaction action = {.sa_handler = ask_to_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int code = run(&consumer);
    leuko_destroy(consumer.edge);
    store_close(&consumer.store);
    return code;
}
