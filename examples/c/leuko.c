/* See leuko.h for what this offers, docs/protocol.md for why it does what it does. */
#define _POSIX_C_SOURCE 200809L

#include "leuko.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <zmq.h>

#define ATTEMPT_MS 2000 /* a HELLO that was not answered for so long is said again, over a new connection */
#define LINGER_MS 500
#define ENDING_MS 200   /* an edge that is ending is gone soon, and another one may take its place */
#define KEY_BYTES 41    /* 40 characters of Z85 */

struct waiting {
    struct leuko_record record;
    struct waiting *next;
};

struct leuko {
    struct leuko_options options; /* its strings are the four of `own` */
    char *own[4];
    char public_key[KEY_BYTES], secret_key[KEY_BYTES], edge_key[KEY_BYTES];
    void *context, *socket;
    int64_t opened_ms, heard_ms, pinged_ms;
    cJSON *welcome;
    char run_id[LEUKO_NAME_MAX_BYTES + 1]; /* of the run that is read; "" before there is one */
    int64_t due;                           /* the seq that comes next on the wire */
    char boot_id[LEUKO_NAME_MAX_BYTES + 1]; /* of the record before it; "" when it had none */
    int64_t attempt;                       /* of the newest HELLO */
    int64_t delivered;                     /* the last seq the caller was given */
    int64_t held;                          /* upto_seq of the newest ACK */
    int64_t until;                         /* send_until_seq of the newest ACK */
    bool ack_due;                          /* the newest ACK may not have been taken */
    struct leuko_optional trigger_until;
    struct waiting *first, **last; /* came while something else was waited for; no more of them than there is credit */
    const char *awaited;           /* cmd_id of the command that is to be answered */
    cJSON *answer;
    char code[64], error[1024];
};

struct message {
    char *text;
    size_t bytes;
    cJSON *tree;
    const char *type;
};

static const char *const FIELD_STATUS[] = {"ok", "empty", "lost", "incomplete", "failed", "timeout", "skipped"};
static const char *const OUTCOME[] = {"completed", "stopped", "failed", "interrupted"};
static const char *const RECORD[] = {"run_start", "field", "advice", "event", "run_stop"};
#define SIZE(array) (sizeof(array) / sizeof *(array))

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Rises over restarts of this program, and a clock that is set back while it runs does no harm. */
static int64_t next_attempt(int64_t before)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return time_ns > before ? time_ns : before + 1;
}

static int64_t now_ms(void) { return now_ns() / 1000000; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* What stands in an error is one line, whatever the edge put into its reason. */
static void one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

__attribute__((format(printf, 3, 4))) static int fail(struct leuko *edge, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(edge->error, sizeof edge->error, format, arguments);
    va_end(arguments);
    one_line(edge->error);
    if (status != LEUKO_REFUSED)
        edge->code[0] = '\0';
    return status;
}

static int no_memory(struct leuko *edge) { return fail(edge, LEUKO_NO_MEMORY, "there is no memory left for another message."); }

/* --- Decoding ------------------------------------------------------------------------------------------------------------ */

/* The first thing that is wrong is kept; what is read after it does not matter any more. */
struct reader {
    const char *type;
    char *error;
    size_t error_bytes;
    int status;
};

static void complain(struct reader *reader, const char *key, const char *what)
{
    if (reader->status != LEUKO_OK)
        return;
    reader->status = LEUKO_DEFECT;
    snprintf(reader->error, reader->error_bytes, "a %s came whose `%s` %s; report this as a defect of the edge.", reader->type,
             key, what);
    one_line(reader->error);
}

static void *memory(struct reader *reader, size_t n, size_t each)
{
    void *block = calloc(n == 0 ? 1 : n, each);
    if (block == NULL && reader->status == LEUKO_OK) {
        reader->status = LEUKO_NO_MEMORY;
        snprintf(reader->error, reader->error_bytes, "there is no memory left for a %s.", reader->type);
    }
    return block;
}

/* NULL for null as well, so that a key with a default may be missing. */
static const cJSON *item(const cJSON *object, const char *key)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(found) ? NULL : found;
}

static bool exact(const cJSON *number, int64_t *value)
{
    double read = cJSON_IsNumber(number) ? number->valuedouble : 0.5;
    if (!(read >= (double)-LEUKO_EXACT_MAX && read <= (double)LEUKO_EXACT_MAX) || (double)(int64_t)read != read)
        return false;
    *value = (int64_t)read;
    return true;
}

bool leuko_get_integer(const cJSON *object, const char *key, int64_t *value) { return exact(item(object, key), value); }

bool leuko_get_int64(const cJSON *object, const char *key, int64_t *value)
{
    const cJSON *found = item(object, key);
    if (!cJSON_IsString(found))
        return false;
    const char *digits = found->valuestring + (found->valuestring[0] == '-');
    size_t n = strspn(digits, "0123456789");
    if (n < 1 || n > 19 || digits[n] != '\0')
        return false;
    errno = 0;
    long long read = strtoll(found->valuestring, NULL, 10);
    if (errno != 0)
        return false;
    *value = read;
    return true;
}

static const char *get_text(const cJSON *object, const char *key, const char *otherwise)
{
    const cJSON *found = item(object, key);
    return cJSON_IsString(found) ? found->valuestring : otherwise;
}

static const char *text(struct reader *reader, const cJSON *object, const char *key)
{
    const char *found = get_text(object, key, NULL);
    if (found == NULL)
        complain(reader, key, "is missing or no string");
    return found == NULL ? "" : found;
}

static int64_t count(struct reader *reader, const cJSON *object, const char *key)
{
    int64_t value = -1;
    if (!leuko_get_integer(object, key, &value) || value < 0)
        complain(reader, key, "is no integer from 0 to 2^53 - 1");
    return value;
}

static int64_t int64(struct reader *reader, const cJSON *object, const char *key)
{
    int64_t value = 0;
    if (!leuko_get_int64(object, key, &value))
        complain(reader, key, "is no 64-bit integer in a string");
    return value;
}

static struct leuko_optional optional_int64(struct reader *reader, const cJSON *object, const char *key)
{
    struct leuko_optional value = {item(object, key) != NULL, 0};
    if (value.present)
        value.value = int64(reader, object, key);
    return value;
}

static double number(struct reader *reader, const cJSON *object, const char *key)
{
    const cJSON *found = item(object, key);
    if (!cJSON_IsNumber(found))
        complain(reader, key, "is no number");
    return cJSON_IsNumber(found) ? found->valuedouble : 0;
}

static bool flag(struct reader *reader, const cJSON *object, const char *key)
{
    const cJSON *found = item(object, key);
    if (!cJSON_IsBool(found))
        complain(reader, key, "is neither true nor false");
    return cJSON_IsTrue(found);
}

static const cJSON *object_of(struct reader *reader, const cJSON *object, const char *key)
{
    const cJSON *found = item(object, key);
    if (!cJSON_IsObject(found))
        complain(reader, key, "is no object");
    return found;
}

/* A new status or outcome needs a new protocol version, so one that is not in the table is a defect, not something to skip. */
static int choice(struct reader *reader, const cJSON *object, const char *key, const char *const *names, size_t n)
{
    const char *found = text(reader, object, key);
    for (size_t at = 0; at < n; at++)
        if (strcmp(found, names[at]) == 0)
            return (int)at;
    complain(reader, key, "is not one of those of this protocol version");
    return 0;
}

static struct leuko_counts counts(struct reader *reader, const cJSON *object, const char *key)
{
    const cJSON *found = object_of(reader, object, key), *each;
    struct leuko_counts all = {NULL, 0};
    all.each = memory(reader, (size_t)cJSON_GetArraySize(found), sizeof *all.each);
    if (all.each == NULL)
        return all;
    cJSON_ArrayForEach(each, found)
        all.each[all.n++] = (struct leuko_count){each->string, count(reader, found, each->string)};
    return all;
}

static void decode_field(struct reader *reader, const cJSON *tree, struct leuko_field *field)
{
    field->trigger_id = text(reader, tree, "trigger_id");
    field->field_index = count(reader, tree, "field_index");
    field->frame_id = optional_int64(reader, tree, "frame_id");
    field->source_name = get_text(tree, "source_name", "");
    field->status = (enum leuko_field_status)choice(reader, tree, "status", FIELD_STATUS, SIZE(FIELD_STATUS));
    field->status_name = text(reader, tree, "status");
    field->detail = get_text(tree, "detail", "");
    const cJSON *stage = item(tree, "stage");
    if (stage != NULL)
        field->stage = (struct leuko_stage){true, int64(reader, stage, "x_nm"), int64(reader, stage, "y_nm")};
    field->t_host_ns = int64(reader, tree, "t_host_ns");
    field->t_camera_ns = optional_int64(reader, tree, "t_camera_ns");
    field->counts = counts(reader, tree, "counts");
    const cJSON *running = object_of(reader, tree, "running");
    field->running.fields = counts(reader, running, "fields");
    field->running.cells = counts(reader, running, "cells");
    field->running.wbc_total = count(reader, running, "wbc_total");
    field->counted = flag(reader, tree, "counted");
    field->overflow = flag(reader, tree, "overflow");
}

static void decode_run_stop(struct reader *reader, const cJSON *tree, struct leuko_run_stop *stop)
{
    stop->outcome = (enum leuko_outcome)choice(reader, tree, "outcome", OUTCOME, SIZE(OUTCOME));
    stop->outcome_name = text(reader, tree, "outcome");
    stop->detail = get_text(tree, "detail", "");
    stop->triggers = count(reader, tree, "triggers");
    stop->fields = counts(reader, tree, "fields");
    stop->cells = counts(reader, tree, "cells");
    stop->sums_match = flag(reader, tree, "sums_match");
    stop->duration_s = number(reader, tree, "duration_s");
    const cJSON *differential = object_of(reader, tree, "differential"), *rows = item(differential, "rows"), *row;
    stop->differential.wbc_total = count(reader, differential, "wbc_total");
    if (!cJSON_IsArray(rows))
        complain(reader, "rows", "is no array");
    stop->differential.rows = memory(reader, (size_t)cJSON_GetArraySize(rows), sizeof *stop->differential.rows);
    if (stop->differential.rows == NULL)
        return;
    cJSON_ArrayForEach(row, rows)
        stop->differential.rows[stop->differential.n_rows++] = (struct leuko_row){
            text(reader, row, "label"),         count(reader, row, "count"),         number(reader, row, "percent"),
            number(reader, row, "low_percent"), number(reader, row, "high_percent"),
        };
}

/* Takes `message` over, whatever comes of it. */
static int decode(struct message *message, struct leuko_record *record, char *error, size_t error_bytes)
{
    struct reader reader = {message->type, error, error_bytes, LEUKO_OK};
    const cJSON *tree = message->tree;
    *record = (struct leuko_record){.json = message->text, .json_bytes = message->bytes, .tree = message->tree};
    *message = (struct message){0};
    record->type_name = reader.type;
    record->type = LEUKO_OTHER_RECORD;
    for (size_t at = 0; at < SIZE(RECORD); at++)
        if (strcmp(reader.type, RECORD[at]) == 0)
            record->type = (enum leuko_type)at;
    record->run_id = text(&reader, tree, "run_id");
    record->seq = count(&reader, tree, "seq");
    record->wall_time = text(&reader, tree, "wall_time");
    if (record->type == LEUKO_FIELD)
        decode_field(&reader, tree, &record->field);
    if (record->type == LEUKO_RUN_STOP)
        decode_run_stop(&reader, tree, &record->run_stop);
    if (reader.status != LEUKO_OK)
        leuko_record_free(record);
    return reader.status;
}

/* Takes `text` over, which has a NUL behind its `bytes`. */
static int parse(char *text, size_t bytes, struct message *message, char *error, size_t error_bytes)
{
    const char *end = text;
    cJSON *tree = memchr(text, '\0', bytes) == NULL ? cJSON_ParseWithLengthOpts(text, bytes, &end, false) : NULL;
    if (tree != NULL)
        end += strspn(end, " \t\r\n");
    const char *type = get_text(tree, "type", NULL);
    if (tree == NULL || end != text + bytes || type == NULL) {
        snprintf(error, error_bytes,
                 "a message of %zu bytes came that is no JSON object with a `type`; report this as a defect of the edge.",
                 bytes);
        cJSON_Delete(tree);
        free(text);
        return LEUKO_DEFECT;
    }
    *message = (struct message){text, bytes, tree, type};
    return LEUKO_OK;
}

static void message_free(struct message *message)
{
    cJSON_Delete(message->tree);
    free(message->text);
    *message = (struct message){0};
}

static char *copy_of(const void *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (copy != NULL) {
        memcpy(copy, data, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

int leuko_decode(const char *json, size_t json_bytes, struct leuko_record *record, char *error, size_t error_bytes)
{
    struct message message = {0};
    *record = (struct leuko_record){0};
    char *copy = copy_of(json, json_bytes);
    if (copy == NULL) {
        snprintf(error, error_bytes, "there is no memory left for a record.");
        return LEUKO_NO_MEMORY;
    }
    int status = parse(copy, json_bytes, &message, error, error_bytes);
    return status == LEUKO_OK ? decode(&message, record, error, error_bytes) : status;
}

void leuko_record_free(struct leuko_record *record)
{
    free(record->field.counts.each);
    free(record->field.running.fields.each);
    free(record->field.running.cells.each);
    free(record->run_stop.fields.each);
    free(record->run_stop.cells.each);
    free(record->run_stop.differential.rows);
    cJSON_Delete(record->tree);
    free(record->json);
    *record = (struct leuko_record){0};
}

/* --- Messages ------------------------------------------------------------------------------------------------------------ */

/* `object` with one more key; NULL, and both freed, when there is no memory. */
static cJSON *put(cJSON *object, const char *key, cJSON *value)
{
    if (object != NULL && value != NULL && cJSON_AddItemToObject(object, key, value))
        return object;
    cJSON_Delete(object);
    cJSON_Delete(value);
    return NULL;
}

static cJSON *put_text(cJSON *object, const char *key, const char *value)
{
    return put(object, key, value == NULL ? cJSON_CreateNull() : cJSON_CreateString(value));
}

/* As text of its own: cJSON would print an integer above 2^50 or so as a rounded one with an exponent. */
static cJSON *put_integer(cJSON *object, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return put(object, key, cJSON_CreateRaw(digits));
}

static cJSON *put_int64(cJSON *object, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    return put_text(object, key, digits);
}

static cJSON *of_type(const char *type) { return put_text(cJSON_CreateObject(), "type", type); }

static cJSON *of_command(const char *type, const char *cmd_id, const char *run_id)
{
    return put_text(put_text(of_type(type), "cmd_id", cmd_id), "run_id", run_id);
}

static cJSON *hello(struct leuko *edge)
{
    const char *encodings[] = {"json"};
    cJSON *message = put_integer(of_type("HELLO"), "proto", LEUKO_PROTOCOL);
    message = put(message, "encodings", cJSON_CreateStringArray(encodings, 1));
    message = put_text(message, "role", edge->options.observer ? "observer" : "controller");
    message = put_text(message, "client_id", edge->options.client_id);
    message = put_int64(message, "attempt", edge->attempt = next_attempt(edge->attempt));
    if (edge->run_id[0] == '\0')
        return put_text(message, "resume", NULL);
    cJSON *resume = put_integer(put_text(cJSON_CreateObject(), "run_id", edge->run_id), "next_seq", edge->due);
    return put(message, "resume", edge->boot_id[0] == '\0' ? resume : put_text(resume, "boot_id", edge->boot_id));
}

static int send_tree(struct leuko *edge, const cJSON *tree)
{
    char *text = tree == NULL ? NULL : cJSON_PrintUnformatted(tree);
    if (text == NULL)
        return no_memory(edge);
    size_t bytes = strlen(text);
    int status = LEUKO_OK;
    if (bytes > LEUKO_TO_EDGE_MAX_BYTES)
        status = fail(edge, LEUKO_USAGE, "a message of %zu bytes is too large; the edge takes %d.", bytes,
                      LEUKO_TO_EDGE_MAX_BYTES);
    else if (zmq_send(edge->socket, text, bytes, ZMQ_DONTWAIT) < 0)
        status = fail(edge, LEUKO_LOST, "the edge at %s takes no more messages", edge->options.endpoint);
    cJSON_free(text);
    return status;
}

static int send_away(struct leuko *edge, cJSON *tree)
{
    int status = send_tree(edge, tree);
    cJSON_Delete(tree);
    return status;
}

/* An ACK that was not taken is sent again with the next PING; it is cumulative, so once too often does no harm. */
static int send_ack(struct leuko *edge)
{
    edge->until = least(edge->held + 1 + edge->options.window, LEUKO_EXACT_MAX);
    cJSON *ack = put_integer(put_text(of_type("ACK"), "run_id", edge->run_id), "upto_seq", edge->held);
    int status = send_away(edge, put_integer(ack, "send_until_seq", edge->until));
    edge->ack_due = status != LEUKO_OK;
    return status == LEUKO_LOST ? LEUKO_OK : status;
}

/* One message within `wait_ms`, or LEUKO_TIMEOUT. */
static int receive(struct leuko *edge, struct message *message, int64_t wait_ms)
{
    zmq_pollitem_t poll = {edge->socket, 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&poll, 1, wait_ms > 0 ? (long)wait_ms : 0) <= 0)
        return LEUKO_TIMEOUT; /* also after a signal */
    zmq_msg_t part;
    zmq_msg_init(&part);
    int status = LEUKO_TIMEOUT;
    if (zmq_msg_recv(&part, edge->socket, ZMQ_DONTWAIT) >= 0) {
        char *text = NULL;
        if (zmq_msg_more(&part))
            status = fail(edge, LEUKO_DEFECT, "a message of several parts came; report this as a defect of the edge.");
        else if ((text = copy_of(zmq_msg_data(&part), zmq_msg_size(&part))) == NULL)
            status = no_memory(edge);
        else
            status = parse(text, zmq_msg_size(&part), message, edge->error, sizeof edge->error);
    }
    zmq_msg_close(&part);
    return status;
}

static int refused(struct leuko *edge, const char *what, const cJSON *answer)
{
    snprintf(edge->code, sizeof edge->code, "%s", get_text(answer, "code", "?"));
    return fail(edge, LEUKO_REFUSED, "the edge at %s refused%s (%s): %s", edge->options.endpoint, what, edge->code,
                get_text(answer, "reason", "it gave no reason."));
}

/* --- A session ----------------------------------------------------------------------------------------------------------- */

static void raise_trigger_until(struct leuko *edge, const cJSON *object)
{
    int64_t until;
    if (!leuko_get_integer(object, "trigger_until", &until))
        return;
    if (!edge->trigger_until.present || until > edge->trigger_until.value)
        edge->trigger_until = (struct leuko_optional){true, until};
}

static void hang_up(struct leuko *edge, int linger_ms)
{
    if (edge->socket == NULL)
        return;
    zmq_setsockopt(edge->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(edge->socket);
    edge->socket = NULL;
}

static int connect_anew(struct leuko *edge)
{
    const int64_t largest = LEUKO_FROM_EDGE_MAX_BYTES;
    hang_up(edge, 0);
    if (edge->context == NULL && (edge->context = zmq_ctx_new()) == NULL)
        return no_memory(edge);
    edge->socket = zmq_socket(edge->context, ZMQ_DEALER);
    if (edge->socket == NULL)
        return fail(edge, LEUKO_USAGE, "no socket can be opened (%s); close some.", zmq_strerror(errno));
    const int ipv6 = strncmp(edge->options.endpoint, "tcp://[", 7) == 0;
    int failed = zmq_setsockopt(edge->socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    failed |= zmq_setsockopt(edge->socket, ZMQ_IPV6, &ipv6, sizeof ipv6);
    if (edge->options.key_file != NULL) {
        failed |= zmq_setsockopt(edge->socket, ZMQ_CURVE_SERVERKEY, edge->edge_key, KEY_BYTES);
        failed |= zmq_setsockopt(edge->socket, ZMQ_CURVE_PUBLICKEY, edge->public_key, KEY_BYTES);
        failed |= zmq_setsockopt(edge->socket, ZMQ_CURVE_SECRETKEY, edge->secret_key, KEY_BYTES);
    }
    if (failed)
        return fail(edge, LEUKO_USAGE, "libzmq does not take the keys of %s and %s; make new ones with `leuko-edge keys new`.",
                    edge->options.key_file, edge->options.edge_key_file);
    if (zmq_connect(edge->socket, edge->options.endpoint) != 0)
        return fail(edge, LEUKO_USAGE, "%s is not an address to connect to (%s); one looks like tcp://127.0.0.1:5570.",
                    edge->options.endpoint, zmq_strerror(errno));
    return LEUKO_OK;
}

static int take_welcome(struct leuko *edge, cJSON *welcome)
{
    cJSON_Delete(edge->welcome);
    edge->welcome = welcome;
    const char *encoding = get_text(welcome, "encoding", "none");
    if (strcmp(encoding, "json") != 0)
        return fail(edge, LEUKO_DEFECT,
                    "WELCOME names the encoding %s, which was not offered; report this as a defect of the edge.", encoding);
    const cJSON *run;
    cJSON_ArrayForEach(run, item(welcome, "runs"))
        if (edge->run_id[0] != '\0' && strcmp(get_text(run, "run_id", ""), edge->run_id) == 0)
            raise_trigger_until(edge, run);
    edge->opened_ms = edge->heard_ms = edge->pinged_ms = now_ms();
    return LEUKO_OK;
}

static int await_welcome(struct leuko *edge, int64_t deadline_ms)
{
    int status = LEUKO_TIMEOUT;
    for (int64_t now; status == LEUKO_TIMEOUT && (now = now_ms()) < deadline_ms;) {
        struct message message = {0};
        int came = receive(edge, &message, deadline_ms - now);
        if (came != LEUKO_OK)
            status = came;
        else if (strcmp(message.type, "REJECT") == 0)
            status = refused(edge, "", message.tree);
        else if (strcmp(message.type, "WELCOME") == 0) {
            status = take_welcome(edge, message.tree);
            message.tree = NULL;
        }
        message_free(&message);
    }
    return status;
}

static int say_hello(struct leuko *edge, int64_t timeout_ms)
{
    const int64_t deadline_ms = now_ms() + timeout_ms;
    int status = LEUKO_TIMEOUT;
    for (int64_t now; status == LEUKO_TIMEOUT && (now = now_ms()) < deadline_ms;) {
        status = connect_anew(edge);
        if (status == LEUKO_OK)
            status = send_away(edge, hello(edge));
        if (status == LEUKO_OK)
            status = await_welcome(edge, least(deadline_ms, now + ATTEMPT_MS));
        if (status == LEUKO_REFUSED && strcmp(edge->code, "ending") == 0 && now_ms() + ENDING_MS < deadline_ms) {
            zmq_poll(NULL, 0, ENDING_MS);
            status = LEUKO_TIMEOUT;
        }
    }
    if (status == LEUKO_TIMEOUT)
        status = fail(edge, LEUKO_LOST,
                      "no edge answered at %s within %g s; start one with `leuko-edge run --bind ...`, or give the address "
                      "it prints%s.",
                      edge->options.endpoint, (double)timeout_ms / 1000,
                      edge->options.key_file != NULL
                          ? "; it may also not allow this client's key, have another key than the one given, or take no keys"
                          : "; an edge with keys answers nobody without one");
    if (status != LEUKO_OK)
        hang_up(edge, 0);
    return status;
}

/* After LEUKO_LOST inside a session: back to where it was, or LEUKO_LOST for good. */
static int recover(struct leuko *edge)
{
    char why[sizeof edge->error / 2], then[sizeof edge->error / 2];
    snprintf(why, sizeof why, "%.400s", edge->error);
    int64_t early_ms = edge->opened_ms + edge->options.retry_ms - now_ms();
    if (early_ms > 0) /* lost as soon as it was opened: no storm of HELLOs */
        zmq_poll(NULL, 0, (long)early_ms);
    int status = say_hello(edge, edge->options.reconnect_ms);
    if (status == LEUKO_OK)
        return edge->run_id[0] != '\0' ? send_ack(edge) : LEUKO_OK;
    snprintf(then, sizeof then, "%.500s", edge->error);
    return fail(edge, status, "the session was lost (%s) and could not be opened again: %s", why, then);
}

static int take_record(struct leuko *edge, struct message *message)
{
    struct waiting *waiting = malloc(sizeof *waiting);
    if (waiting == NULL)
        return no_memory(edge);
    struct leuko_record *record = &waiting->record;
    int status = decode(message, record, edge->error, sizeof edge->error);
    if (status == LEUKO_OK && strcmp(record->run_id, edge->run_id) == 0 && record->seq >= edge->due) {
        if (record->seq > edge->due)
            status = fail(edge, LEUKO_DEFECT,
                          "run %s has a gap: seq %" PRId64 " was due and %" PRId64 " came; resume from %" PRId64
                          ", and report this as a defect of the edge.",
                          edge->run_id, edge->due, record->seq, edge->due);
        else if (record->seq >= edge->until)
            status = fail(edge, LEUKO_DEFECT,
                          "seq %" PRId64 " of run %s came without credit, which ends before %" PRId64
                          "; report this as a defect of the edge.",
                          record->seq, edge->run_id, edge->until);
        else {
            edge->due++;
            snprintf(edge->boot_id, sizeof edge->boot_id, "%s", get_text(record->tree, "boot_id", ""));
            waiting->next = NULL;
            *edge->last = waiting;
            edge->last = &waiting->next;
            return LEUKO_OK;
        }
    } /* else another run's, or one that was sent again after a reconnect */
    leuko_record_free(record);
    free(waiting);
    return status;
}

static int take_reject(struct leuko *edge, const cJSON *reject)
{
    const char *code = get_text(reject, "code", "?");
    if (strcmp(code, "rate") == 0) { /* commands are repeated by their timer, so the ACK alone has to be thought of */
        edge->ack_due = true;
        return LEUKO_OK;
    }
    if (strcmp(code, "state") == 0 || strcmp(code, "ending") == 0)
        return fail(edge, LEUKO_LOST, "the edge at %s says: %s", edge->options.endpoint,
                    get_text(reject, "reason", "no session"));
    return refused(edge, "", reject);
}

/* An answer that nobody waits for and a session message that is not known here concern nobody here. */
static int sort(struct leuko *edge, struct message *message)
{
    const char *type = message->type;
    if (type[0] >= 'a' && type[0] <= 'z')
        return take_record(edge, message);
    if (strcmp(type, "PING") == 0) {
        int64_t nonce;
        if (!leuko_get_int64(message->tree, "nonce", &nonce))
            return fail(edge, LEUKO_DEFECT, "a PING came without a nonce; report this as a defect of the edge.");
        return send_away(edge, put_int64(put_int64(of_type("PONG"), "nonce", nonce), "t_ns", now_ns()));
    }
    if (strcmp(type, "REJECT") == 0)
        return take_reject(edge, message->tree);
    if (strcmp(type, "CREDIT") == 0 && strcmp(get_text(message->tree, "run_id", ""), edge->run_id) == 0)
        raise_trigger_until(edge, message->tree);
    bool answers = strcmp(type, "ACCEPTED") == 0 || strcmp(type, "REJECTED") == 0 || strcmp(type, "STATE") == 0;
    if (answers && edge->awaited != NULL && strcmp(get_text(message->tree, "cmd_id", ""), edge->awaited) == 0) {
        cJSON_Delete(edge->answer);
        edge->answer = message->tree;
        message->tree = NULL;
    }
    return LEUKO_OK;
}

/* Take in at most one message within `wait_ms`, keep the heartbeat going. LEUKO_LOST: recover() may help. */
static int pump(struct leuko *edge, int64_t wait_ms)
{
    int status = LEUKO_OK;
    if (edge->socket == NULL)
        return fail(edge, LEUKO_USAGE, "there is no session with %s; call leuko_open first.", edge->options.endpoint);
    int64_t now = now_ms(), until_ping_ms = edge->pinged_ms + edge->options.ping_every_ms - now;
    if (until_ping_ms <= 0) {
        edge->pinged_ms = now;
        until_ping_ms = edge->options.ping_every_ms;
        status = send_away(edge, put_int64(put_int64(of_type("PING"), "nonce", now_ns()), "t_ns", now_ns()));
        if (status == LEUKO_OK && edge->ack_due)
            status = send_ack(edge);
        if (status != LEUKO_OK)
            return status;
    }
    struct message message = {0};
    status = receive(edge, &message, least(wait_ms, until_ping_ms));
    if (status == LEUKO_TIMEOUT && now_ms() - edge->heard_ms > edge->options.dead_after_ms)
        return fail(edge, LEUKO_LOST, "nothing was heard from the edge at %s for %g s", edge->options.endpoint,
                    (double)edge->options.dead_after_ms / 1000);
    if (status != LEUKO_OK)
        return status;
    edge->heard_ms = now_ms();
    status = sort(edge, &message);
    message_free(&message);
    return status;
}

static void drop_waiting(struct leuko *edge)
{
    while (edge->first != NULL) {
        struct waiting *next = edge->first->next;
        leuko_record_free(&edge->first->record);
        free(edge->first);
        edge->first = next;
    }
    edge->last = &edge->first;
}

static int follow(struct leuko *edge, const char *run_id, int64_t next_seq)
{
    drop_waiting(edge);
    edge->due = next_seq;
    edge->delivered = edge->held = next_seq - 1;
    edge->boot_id[0] = '\0';
    edge->trigger_until = (struct leuko_optional){false, 0};
    if (snprintf(edge->run_id, sizeof edge->run_id, "%s", run_id) < (int)sizeof edge->run_id)
        return LEUKO_OK;
    edge->run_id[0] = '\0';
    return fail(edge, LEUKO_USAGE, "a run_id of more than %d bytes was given; 128 characters are the limit.",
                LEUKO_NAME_MAX_BYTES);
}

/* Key files are lines of text; the ones that count look like   public-key = "..."   with 40 characters of Z85. */
static int read_key(struct leuko *edge, const char *path, const char *name, char key[KEY_BYTES])
{
    char line[256], quote[2];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return fail(edge, LEUKO_USAGE, "%s is no key file (%s); give the right path.", path, strerror(errno));
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        const char *at = line + strspn(line, " \t");
        if (strncmp(at, name, strlen(name)) == 0)
            found = sscanf(at + strlen(name), " = \"%40[^\"]%1[\"]", key, quote) == 2 && strlen(key) == KEY_BYTES - 1;
    }
    fclose(file);
    if (found)
        return LEUKO_OK;
    return fail(edge, LEUKO_USAGE, "%s holds no %s; make a pair with `leuko-edge keys new NAME --out DIR`.", path, name);
}

static int read_keys(struct leuko *edge)
{
    const char *own = edge->options.key_file, *theirs = edge->options.edge_key_file;
    struct stat about;
    if (own == NULL && theirs == NULL)
        return LEUKO_OK;
    if (own == NULL || theirs == NULL)
        return fail(edge, LEUKO_USAGE, "one's own key file and the edge's go together; give both, or none.");
    if (stat(own, &about) == 0 && (about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(edge, LEUKO_USAGE, "others than its owner may read %s, so it is no secret; `chmod 600 %s` if nobody has.",
                    own, own);
    int status = read_key(edge, own, "public-key", edge->public_key);
    if (status == LEUKO_OK)
        status = read_key(edge, own, "secret-key", edge->secret_key);
    return status == LEUKO_OK ? read_key(edge, theirs, "public-key", edge->edge_key) : status;
}

static int check(struct leuko *edge)
{
    const struct leuko_options *options = &edge->options;
    if (options->endpoint == NULL || options->client_id == NULL || options->client_id[0] == '\0')
        return fail(edge, LEUKO_USAGE, "an address and a client_id are needed; give both.");
    if (options->window < 1 || options->window > 100000)
        return fail(edge, LEUKO_USAGE, "a window of %" PRId64 " records was asked for; give 1 to 100000.", options->window);
    const int64_t times[] = {options->ping_every_ms, options->dead_after_ms, options->answer_ms, options->retry_ms,
                             options->reconnect_ms};
    for (size_t at = 0; at < SIZE(times); at++)
        if (times[at] < 1 || times[at] > 3600000)
            return fail(edge, LEUKO_USAGE, "a time of %" PRId64 " ms was given; each is 1 ms to one hour.", times[at]);
    return read_keys(edge);
}

/* --- What leuko.h offers ------------------------------------------------------------------------------------------------- */

struct leuko_options leuko_defaults(const char *endpoint, const char *client_id)
{
    return (struct leuko_options){
        .endpoint = endpoint, .client_id = client_id, .window = 64, .ping_every_ms = 1000, .dead_after_ms = 5000,
        .answer_ms = 5000, .retry_ms = 1000, .reconnect_ms = 10000,
    };
}

struct leuko *leuko_create(const struct leuko_options *options)
{
    struct leuko *edge = calloc(1, sizeof *edge);
    if (edge == NULL)
        return NULL;
    const char *given[] = {options->endpoint, options->client_id, options->key_file, options->edge_key_file};
    edge->last = &edge->first;
    for (size_t at = 0; at < SIZE(given); at++)
        if (given[at] != NULL && (edge->own[at] = copy_of(given[at], strlen(given[at]))) == NULL) {
            leuko_destroy(edge);
            return NULL;
        }
    edge->options = *options;
    edge->options.endpoint = edge->own[0];
    edge->options.client_id = edge->own[1];
    edge->options.key_file = edge->own[2];
    edge->options.edge_key_file = edge->own[3];
    return edge;
}

void leuko_destroy(struct leuko *edge)
{
    if (edge == NULL)
        return;
    hang_up(edge, LINGER_MS);
    if (edge->context != NULL)
        zmq_ctx_term(edge->context);
    drop_waiting(edge);
    cJSON_Delete(edge->welcome);
    cJSON_Delete(edge->answer);
    for (size_t at = 0; at < SIZE(edge->own); at++)
        free(edge->own[at]);
    free(edge);
}

const char *leuko_error(const struct leuko *edge) { return edge->error; }

const char *leuko_refusal(const struct leuko *edge) { return edge->code; }

const cJSON *leuko_welcome(const struct leuko *edge) { return edge->welcome; }

struct leuko_optional leuko_trigger_until(const struct leuko *edge) { return edge->trigger_until; }

int leuko_open(struct leuko *edge, const char *run_id, int64_t next_seq, const char *boot_id)
{
    int status = check(edge);
    if (status == LEUKO_OK && (next_seq < 0 || next_seq > LEUKO_EXACT_MAX))
        status = fail(edge, LEUKO_USAGE, "a next_seq of %" PRId64 " was given; it is 0 to 2^53 - 1.", next_seq);
    if (status == LEUKO_OK)
        status = follow(edge, run_id == NULL ? "" : run_id, next_seq);
    if (status == LEUKO_OK && boot_id != NULL)
        snprintf(edge->boot_id, sizeof edge->boot_id, "%s", boot_id);
    if (status == LEUKO_OK)
        status = say_hello(edge, edge->options.answer_ms);
    return status == LEUKO_OK && edge->run_id[0] != '\0' ? send_ack(edge) : status;
}

int leuko_command(struct leuko *edge, const cJSON *command, const cJSON **answer)
{
    const char *type = get_text(command, "type", "a command");
    const int64_t begun_ms = now_ms(), last_ms = begun_ms + edge->options.answer_ms + edge->options.reconnect_ms;
    int64_t deadline_ms = begun_ms + edge->options.answer_ms, again_ms = begun_ms;
    int status = LEUKO_OK;
    cJSON_Delete(edge->answer);
    edge->answer = NULL;
    edge->awaited = get_text(command, "cmd_id", "");
    while (status == LEUKO_OK && edge->answer == NULL && now_ms() < deadline_ms) {
        status = pump(edge, 0);
        if (status == LEUKO_TIMEOUT && now_ms() >= again_ms) {
            status = send_tree(edge, command);
            again_ms = now_ms() + edge->options.retry_ms;
        }
        if (status == LEUKO_TIMEOUT)
            status = pump(edge, least(again_ms, deadline_ms) - now_ms());
        if (status == LEUKO_TIMEOUT)
            status = LEUKO_OK;
        if (status == LEUKO_LOST) {
            status = recover(edge);
            deadline_ms = least(now_ms() + edge->options.answer_ms, last_ms);
            again_ms = now_ms();
        }
    }
    edge->awaited = NULL;
    if (status != LEUKO_OK)
        return status;
    if (edge->answer == NULL)
        return fail(edge, LEUKO_LOST, "the edge at %s did not answer %s within %g s; look at its log.", edge->options.endpoint,
                    type, (double)(now_ms() - begun_ms) / 1000);
    if (answer != NULL)
        *answer = edge->answer;
    if (strcmp(get_text(edge->answer, "type", ""), "REJECTED") != 0)
        return LEUKO_OK;
    char what[64];
    snprintf(what, sizeof what, " %.60s", type);
    return refused(edge, what, edge->answer);
}

static int command_away(struct leuko *edge, cJSON *command, const cJSON **answer)
{
    int status = command == NULL ? no_memory(edge) : leuko_command(edge, command, answer);
    cJSON_Delete(command);
    return status;
}

int leuko_run_start(struct leuko *edge, const struct leuko_run *run)
{
    const cJSON *answer = NULL;
    cJSON *command = put_text(of_command("RUN_START", run->cmd_id, run->run_id), "slide_id", run->slide_id);
    command = put_text(put_text(command, "sample_id", run->sample_id), "continues_run_id", run->continues_run_id);
    if (run->max_fields.present)
        command = put_integer(command, "max_fields", run->max_fields.value);
    int status = command_away(edge, command, &answer);
    if (status == LEUKO_OK)
        status = follow(edge, run->run_id, 0);
    if (status != LEUKO_OK)
        return status;
    raise_trigger_until(edge, answer);
    return send_ack(edge);
}

int leuko_run_stop(struct leuko *edge, const char *cmd_id)
{
    return command_away(edge, of_command("RUN_STOP", cmd_id, edge->run_id), NULL);
}

int leuko_trigger(struct leuko *edge, const struct leuko_trigger *trigger)
{
    const cJSON *answer = NULL;
    cJSON *command = put_text(of_command("TRIGGER", trigger->cmd_id, edge->run_id), "trigger_id", trigger->trigger_id);
    command = put_integer(command, "field_index", trigger->field_index);
    if (trigger->stage.present)
        command = put(command, "stage",
                      put_int64(put_int64(cJSON_CreateObject(), "x_nm", trigger->stage.x_nm), "y_nm", trigger->stage.y_nm));
    int status = command_away(edge, command, &answer);
    if (status == LEUKO_OK)
        raise_trigger_until(edge, answer);
    return status;
}

int leuko_receive(struct leuko *edge, struct leuko_record *record, int64_t timeout_ms)
{
    const int64_t deadline_ms = now_ms() + timeout_ms;
    *record = (struct leuko_record){0};
    for (int status; edge->first == NULL;) {
        status = pump(edge, deadline_ms - now_ms());
        if (status == LEUKO_LOST)
            status = recover(edge);
        if (status == LEUKO_TIMEOUT && now_ms() < deadline_ms)
            status = LEUKO_OK;
        if (status != LEUKO_OK)
            return status;
    }
    struct waiting *waiting = edge->first;
    *record = waiting->record;
    edge->delivered = record->seq;
    edge->first = waiting->next;
    if (edge->first == NULL)
        edge->last = &edge->first;
    free(waiting);
    return LEUKO_OK;
}

int leuko_acknowledge(struct leuko *edge, int64_t upto_seq)
{
    if (edge->run_id[0] == '\0' || upto_seq < edge->held || upto_seq > edge->delivered)
        return fail(edge, LEUKO_USAGE, "seq %" PRId64 " cannot be acknowledged; %" PRId64 " was received last.", upto_seq,
                    edge->delivered);
    edge->held = upto_seq;
    return edge->socket == NULL ? LEUKO_OK : send_ack(edge);
}

bool leuko_uuid(char text[LEUKO_UUID_BYTES])
{
    unsigned char b[16];
    FILE *random = fopen("/dev/urandom", "rb");
    bool read = random != NULL && fread(b, 1, sizeof b, random) == sizeof b;
    if (random != NULL)
        fclose(random);
    if (!read)
        return false;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* version 4, variant 1 of RFC 4122 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(text, LEUKO_UUID_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
             b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return true;
}
