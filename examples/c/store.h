/* What a controller keeps on disk so that it can be killed at any moment: one file of records, one of names.
 *
 * Every function that can fail returns false and leaves one sentence in `error`, which has STORE_ERROR_BYTES.
 */
#ifndef STORE_H
#define STORE_H

#include "leuko.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define STORE_ERROR_BYTES 1024

/* Names that must be the same after a restart: the edge knows the controller and its commands by them. */
struct state {
    char client_id[LEUKO_NAME_MAX_BYTES + 1], run_id[LEUKO_UUID_BYTES], cmd_id[LEUKO_UUID_BYTES];
    char slide_id[LEUKO_NAME_MAX_BYTES + 1]; /* "": none */
    struct leuko_optional max_fields;
    int64_t next_trigger;                    /* those below were accepted, and their pulse was given or is never given */
};

/* False with an empty `error`: there is no such file yet. */
bool state_read(const char *path, struct state *state, char *error);

/* Replaces the file as a whole; afterwards it survives a power cut. */
bool state_write(const char *path, const struct state *state, char *error);

/* A file of records, one JSON text a line, every seq of one run once and in order. */
struct store {
    int file;
    FILE *lines; /* the same file, for reading it at the beginning */
    off_t end;   /* everything before is whole records */
    int64_t next_seq, n_fields;
    struct leuko_record last; /* the newest record, once there is one */
};

/* Opens or makes the file, for this process alone. A line that a kill has torn is cut off; anything else that is not the record
 * of `run_id` that is due in its place is an error. */
bool store_open(struct store *store, const char *path, const char *run_id, char *error);

/* Takes the record over. It is safe only after store_sync. */
bool store_append(struct store *store, struct leuko_record *record, char *error);

bool store_sync(struct store *store, char *error);

void store_close(struct store *store);

#endif
