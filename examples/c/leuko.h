/* A client of a leukostream edge: wire protocol 1 (docs/protocol.md) in JSON, on libzmq and cJSON.
 *
 * One `struct leuko` is one session of one controller or observer, for one thread; there is no global state. Heartbeats are
 * exchanged inside the calls that wait, so call leuko_receive at least every second or two, if need be with a timeout of 0: an
 * edge forgets a client that it has not heard for 5 s. A session that is lost is opened again inside the calls, and the run is
 * resumed at the record that is due: nothing comes twice, and nothing is left out.
 *
 *     struct leuko_options options = leuko_defaults("tcp://127.0.0.1:5570", "scanner-7");
 *     struct leuko *edge = leuko_create(&options);
 *     leuko_open(edge, NULL, 0, NULL);                        every call returns LEUKO_OK or what leuko_error() explains
 *     leuko_run_start(edge, &start);
 *     while (leuko_receive(edge, &record, 1000) == LEUKO_OK) { store it safely; leuko_acknowledge(edge, record.seq); ... }
 *     leuko_destroy(edge);
 */
#ifndef LEUKO_H
#define LEUKO_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEUKO_PROTOCOL 1
#define LEUKO_EXACT_MAX INT64_C(9007199254740991)           /* 2^53 - 1: integers that are no strings stay below 2^53 */
#define LEUKO_FROM_EDGE_MAX_BYTES (16 * 1024 * 1024)
#define LEUKO_TO_EDGE_MAX_BYTES 65536
#define LEUKO_NAME_MAX_BYTES 512                            /* 128 characters of UTF-8 */
#define LEUKO_UUID_BYTES 37

enum leuko_status {
    LEUKO_OK = 0,
    LEUKO_TIMEOUT,   /* leuko_receive: no record yet; nothing is wrong */
    LEUKO_REFUSED,   /* the edge said REJECT or REJECTED; leuko_refusal() has its code */
    LEUKO_LOST,      /* no edge answers, also not after some time of trying */
    LEUKO_DEFECT,    /* the edge sent what it may not: a gap, a value out of range; report it */
    LEUKO_USAGE,     /* an argument, an address or a key file cannot be used */
    LEUKO_NO_MEMORY
};

struct leuko_options {
    const char *endpoint;      /* such as "tcp://127.0.0.1:5570" */
    const char *client_id;     /* unique to this controller, and the same after it was restarted */
    bool observer;             /* reads, commands nothing */
    const char *key_file;      /* own NAME.key_secret and the edge's .key, as `leuko-edge keys new` writes them; */
    const char *edge_key_file; /* both or none */
    int64_t window;            /* records the edge may send beyond the last one acknowledged */
    int64_t ping_every_ms;
    int64_t dead_after_ms;     /* nothing heard for so long: the edge is gone */
    int64_t answer_ms;         /* how long an answer to HELLO or to a command is waited for */
    int64_t retry_ms;          /* an unanswered command is repeated so often, with the same cmd_id */
    int64_t reconnect_ms;      /* how long a lost edge is searched for */
};

/* --- Records ------------------------------------------------------------------------------------------------------------- */

struct leuko_optional {
    bool present; /* false: null on the wire */
    int64_t value;
};

struct leuko_count {
    const char *name;
    int64_t count;
};

struct leuko_counts {
    struct leuko_count *each; /* in the order of the wire */
    size_t n;
};

struct leuko_stage {
    bool present;
    int64_t x_nm, y_nm;
};

enum leuko_type { LEUKO_RUN_START, LEUKO_FIELD, LEUKO_ADVICE, LEUKO_EVENT, LEUKO_RUN_STOP, LEUKO_OTHER_RECORD };

enum leuko_field_status {
    LEUKO_FIELD_OK, LEUKO_FIELD_EMPTY, LEUKO_FIELD_LOST, LEUKO_FIELD_INCOMPLETE, LEUKO_FIELD_FAILED, LEUKO_FIELD_TIMEOUT,
    LEUKO_FIELD_SKIPPED
};

enum leuko_outcome { LEUKO_COMPLETED, LEUKO_STOPPED, LEUKO_FAILED, LEUKO_INTERRUPTED };

struct leuko_field {
    const char *trigger_id;
    int64_t field_index;
    struct leuko_optional frame_id; /* null: no frame came */
    const char *source_name;
    enum leuko_field_status status; /* only OK and EMPTY are results; the others never mean zero cells */
    const char *status_name, *detail;
    struct leuko_stage stage;
    int64_t t_host_ns;
    struct leuko_optional t_camera_ns;
    struct leuko_counts counts; /* of this field */
    struct {
        struct leuko_counts fields, cells;
        int64_t wbc_total;
    } running; /* of the run, this field included */
    bool counted, overflow;
};

struct leuko_row {
    const char *label;
    int64_t count;
    double percent, low_percent, high_percent;
};

struct leuko_run_stop {
    enum leuko_outcome outcome;
    const char *outcome_name, *detail;
    int64_t triggers;
    struct leuko_counts fields, cells;
    bool sums_match;
    struct {
        int64_t wbc_total;
        struct leuko_row *rows;
        size_t n_rows;
    } differential;
    double duration_s;
};

struct leuko_record {
    enum leuko_type type;
    const char *type_name, *run_id, *wall_time;
    int64_t seq;
    struct leuko_field field;       /* of LEUKO_FIELD only */
    struct leuko_run_stop run_stop; /* of LEUKO_RUN_STOP only */
    char *json;                     /* the record as it came, `json_bytes` long and a NUL behind it */
    size_t json_bytes;
    cJSON *tree;                    /* everything else; all strings above are in it */
};

/* Decode one record. On failure `record` holds nothing and `error` one sentence. LEUKO_OK, LEUKO_DEFECT, LEUKO_NO_MEMORY. */
int leuko_decode(const char *json, size_t json_bytes, struct leuko_record *record, char *error, size_t error_bytes);

/* Free what a record holds; one that was freed, or zeroed, may be freed again. */
void leuko_record_free(struct leuko_record *record);

/* A 64-bit integer (a decimal string on the wire) or another integer (a number below 2^53) of an object in a record's tree.
 * False when there is none, or one that is not exact. */
bool leuko_get_int64(const cJSON *object, const char *key, int64_t *value);
bool leuko_get_integer(const cJSON *object, const char *key, int64_t *value);

/* --- A session ----------------------------------------------------------------------------------------------------------- */

struct leuko;

/* The times of docs/protocol.md, no keys. */
struct leuko_options leuko_defaults(const char *endpoint, const char *client_id);

/* Copies the options; NULL when there is no memory. What is wrong with them, leuko_open says. */
struct leuko *leuko_create(const struct leuko_options *options);

/* Ends the session; what was sent last has half a second to leave. */
void leuko_destroy(struct leuko *edge);

/* One sentence about the last call that returned neither LEUKO_OK nor LEUKO_TIMEOUT. */
const char *leuko_error(const struct leuko *edge);

/* The code of the refusal after LEUKO_REFUSED, such as "busy"; "" otherwise. */
const char *leuko_refusal(const struct leuko *edge);

/* HELLO until WELCOME comes, over a new connection. With `run_id` it resumes that run: records follow from `next_seq` on, one
 * more than the last seq that this client holds, and `boot_id` is that of the record with it (or NULL). Refused with
 * "unknown_run" when the edge does not have the run, and with "other_history" when it has it with other records. */
int leuko_open(struct leuko *edge, const char *run_id, int64_t next_seq, const char *boot_id);

/* The last WELCOME, whose `runs` list what the edge holds; NULL before the first. */
const cJSON *leuko_welcome(const struct leuko *edge);

/* Send any command (an object with `type` and `cmd_id`) until it is answered. `answer`, if not NULL, is the session's until the
 * next call. LEUKO_REFUSED when it is REJECTED. */
int leuko_command(struct leuko *edge, const cJSON *command, const cJSON **answer);

struct leuko_run {
    const char *cmd_id, *run_id;                            /* new UUIDs; the same ones when the command is repeated */
    const char *slide_id, *sample_id, *continues_run_id;    /* or NULL */
    struct leuko_optional max_fields;
};

/* Start a run and give credit for its first records. */
int leuko_run_start(struct leuko *edge, const struct leuko_run *run);

/* Ask for the end of the run that is read; run_stop follows among its records. */
int leuko_run_stop(struct leuko *edge, const char *cmd_id);

struct leuko_trigger {
    const char *cmd_id, *trigger_id; /* the same ones when the command is repeated */
    int64_t field_index;
    struct leuko_stage stage;
};

/* Announce an exposure. After LEUKO_OK, and only then, the pulse may be given: once. */
int leuko_trigger(struct leuko *edge, const struct leuko_trigger *trigger);

/* How many triggers may be announced from the beginning of the run on; null when its source paces itself. It grows while
 * leuko_receive is called. */
struct leuko_optional leuko_trigger_until(const struct leuko *edge);

/* The next record, waited for at most `timeout_ms` (LEUKO_TIMEOUT). The caller frees it with leuko_record_free. */
int leuko_receive(struct leuko *edge, struct leuko_record *record, int64_t timeout_ms);

/* Everything up to and including `upto_seq` is stored safely: the edge may forget it and send as many more. */
int leuko_acknowledge(struct leuko *edge, int64_t upto_seq);

/* A random UUID as text. False when the system gives no random numbers. */
bool leuko_uuid(char text[LEUKO_UUID_BYTES]);

#endif
