/* EMULATION of the few calls of libcuda that are made without PyCUDA. Environment variables say what it answers; nothing is
   computed. Statuses and attribute numbers are those of cuda.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int asked(const char *name, int otherwise) {
  const char *value = getenv(name);
  return value ? atoi(value) : otherwise;
}

static int failing(const char *call) {
  const char *name = getenv("FAKE_FAILS");
  const char *journal = getenv("FAKE_JOURNAL");
  if (journal) {
    FILE *stream = fopen(journal, "a");
    fprintf(stream, "%s\n", call);
    fclose(stream);
  }
  return name && !strcmp(name, call) ? 900 : 0;
}

int cuInit(unsigned flags) { return asked("FAKE_INIT", 0); }
int cuDeviceGetCount(int *count) { *count = asked("FAKE_GPUS", 1); return 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "EMULATED GPU"); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)8 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) {
  *value = which == 16 ? 46 : which == 75 ? 8 : which == 76 ? 6 : -1;
  return *value < 0;
}

static int graph, executable;
int cuStreamBeginCapture_v2(void *stream, int mode) { return failing("cuStreamBeginCapture_v2"); }
int cuStreamEndCapture(void *stream, void **out) { *out = &graph; return failing("cuStreamEndCapture"); }
int cuGraphInstantiateWithFlags(void **out, void *from, unsigned long long flags) {
  *out = &executable;
  return from == &graph ? failing("cuGraphInstantiateWithFlags") : 1;
}
int cuGraphLaunch(void *what, void *stream) { return what == &executable ? failing("cuGraphLaunch") : 1; }
int cuGraphDestroy(void *what) { return what == &graph ? failing("cuGraphDestroy") : 1; }
int cuGraphExecDestroy(void *what) { return what == &executable ? failing("cuGraphExecDestroy") : 1; }
