/* Preloaded into a client: writes down, in their order, what was synchronised to the disk and what was handed to libzmq.
 *
 * A line is `fsync SIZE_OF_THE_FILE` or `send MESSAGE`, in the file that CALL_ORDER names.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* dlsym gives an object pointer, ISO C has no cast from it to a function. */
#define REAL(function, name) \
    do { \
        void *found = dlsym(RTLD_NEXT, name); \
        memcpy(&(function), &found, sizeof found); \
    } while (0)

static void note(const char *what, const void *text, size_t bytes)
{
    FILE *file = fopen(getenv("CALL_ORDER"), "a");
    if (file == NULL)
        abort();
    fprintf(file, "%s %.*s\n", what, (int)bytes, (const char *)text);
    fclose(file);
}

int fsync(int descriptor)
{
    int (*real)(int);
    REAL(real, "fsync");
    int result = real(descriptor);
    struct stat about;
    char size[32];
    if (fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode)) {
        snprintf(size, sizeof size, "%lld", (long long)about.st_size);
        note("fsync", size, strlen(size));
    }
    return result;
}

int zmq_send(void *socket, const void *text, size_t bytes, int flags)
{
    int (*real)(void *, const void *, size_t, int);
    REAL(real, "zmq_send");
    note("send", text, bytes);
    return real(socket, text, bytes, flags);
}
