/* A stand-in for libcudart that keeps the rules of the real one, for tests without a GPU.

   Work that is put into a stream waits there until somebody waits for the stream, so that a program
   which reads too early reads old bytes. A copy is refused unless both its ends lie in live memory
   of the right kind. What was taken and not given back is counted. While a stream is captured its
   work goes into the graph, and is done at each launch.

   `fake_enqueue` is how the stand-in of TensorRT puts its own work into a stream; `fake_fail` makes
   a function return an error; `fake_live` counts what lives. */
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID = 1, MEMORY = 2, CAPTURE = 901 };
enum { HOST = 1, DEVICE = 2 };

typedef struct Block { char *at; size_t size; int kind; struct Block *next; } Block;
typedef struct { float ms; int reached; } Event;
typedef struct { int kind; void *to; void *from; size_t size; void (*call)(void); } Work;
typedef struct { Work *all; int count; } Queue;
typedef struct { Queue waiting; int capturing; Queue recorded; } Stream;

static Block *blocks;
static int live, now_ms, fail_code, last_error, sm_major = 8, sm_minor = 7;
static char fail_name[64];
static size_t free_bytes = (size_t)6 << 30;

static int done(const char *name, int code) {
    if (!code && fail_code && !strcmp(name, fail_name)) code = fail_code;
    if (code) last_error = code;
    return code;
}
#define RETURN(code) return done(__func__, code)
#define REFUSE if (fail_code && !strcmp(__func__, fail_name)) return last_error = fail_code

void fake_fail(const char *name, int code) { strncpy(fail_name, name, 63); fail_code = code; }
int fake_live(void) { return live; }
void fake_gpu(int major, int minor, size_t bytes) { sm_major = major; sm_minor = minor; free_bytes = bytes; }

static void push(Queue *queue, Work work) {
    queue->all = realloc(queue->all, sizeof(Work) * (queue->count + 1));
    queue->all[queue->count++] = work;
}
static int add(Stream *stream, Work work) {
    push(stream->capturing ? &stream->recorded : &stream->waiting, work);
    return OK;
}
static int take(void **out, size_t size, int kind) {
    if (size > free_bytes) return MEMORY;
    Block *block = malloc(sizeof *block);
    block->at = malloc(size ? size : 1);
    memset(block->at, 0xA5, size);          /* never zeros: nothing may rely on them */
    block->size = size; block->kind = kind; block->next = blocks;
    blocks = block; live++;
    *out = block->at;
    return OK;
}
static int give(void *at, int kind) {
    for (Block **link = &blocks; *link; link = &(*link)->next) {
        Block *block = *link;
        if (block->at != at || block->kind != kind) continue;
        *link = block->next; free(block->at); free(block); live--;
        return OK;
    }
    return INVALID;
}
static int lies_in(const void *at, size_t size, int kind) {
    for (Block *block = blocks; block; block = block->next)
        if ((char *)at >= block->at && (char *)at + size <= block->at + block->size)
            return block->kind == kind;
    return 0;
}
static void run(Work work) {
    if (work.kind == 0) memcpy(work.to, work.from, work.size);
    if (work.kind == 1) work.call();
    if (work.kind == 2) { Event *event = work.to; now_ms++; event->ms = (float)now_ms; event->reached = 1; }
}

const char *cudaGetErrorString(int code) {
    switch (code) {
    case 35: return "CUDA driver version is insufficient for CUDA runtime version";
    case 100: return "no CUDA-capable device is detected";
    case MEMORY: return "out of memory";
    case INVALID: return "invalid argument";
    case CAPTURE: return "operation failed due to a previous error during capture";
    default: return "unspecified failure";
    }
}
int cudaGetLastError(void) { int code = last_error; last_error = OK; return code; }
int cudaGetDeviceCount(int *count) { REFUSE; *count = 1; return OK; }
int cudaDeviceGetAttribute(int *value, int which, int device) {
    (void)device;
    *value = which == 75 ? sm_major : sm_minor;
    RETURN(which == 75 || which == 76 ? OK : INVALID);
}
int cudaGetDeviceProperties(char *properties, int device) {
    (void)device; strcpy(properties, "Stand-in GPU"); RETURN(OK);
}
int cudaRuntimeGetVersion(int *version) { *version = 12060; RETURN(OK); }
int cudaDriverGetVersion(int *version) { *version = 12080; RETURN(OK); }
int cudaMemGetInfo(size_t *unused, size_t *total) {
    *unused = free_bytes; *total = (size_t)8 << 30; RETURN(OK);
}
int cudaMalloc(void **out, size_t size) { REFUSE; return done(__func__, take(out, size, DEVICE)); }
int cudaFree(void *at) { RETURN(give(at, DEVICE)); }
int cudaHostAlloc(void **out, size_t size, unsigned flags) {
    (void)flags; REFUSE; return done(__func__, take(out, size, HOST));
}
int cudaFreeHost(void *at) { RETURN(give(at, HOST)); }

int cudaStreamCreate(void **out) { REFUSE; *out = calloc(1, sizeof(Stream)); live++; return OK; }
int cudaStreamDestroy(Stream *stream) {
    free(stream->waiting.all); free(stream->recorded.all); free(stream); live--; RETURN(OK);
}
int cudaStreamSynchronize(Stream *stream) {
    REFUSE;
    if (stream->capturing) RETURN(CAPTURE);
    for (int i = 0; i < stream->waiting.count; i++) run(stream->waiting.all[i]);
    stream->waiting.count = 0;
    return OK;
}
int cudaMemcpyAsync(void *to, void *from, size_t size, int direction, Stream *stream) {
    REFUSE;
    int there = direction == 1 ? DEVICE : HOST, here = direction == 1 ? HOST : DEVICE;
    if (!lies_in(to, size, there) || !lies_in(from, size, here)) RETURN(INVALID);
    return add(stream, (Work){0, to, from, size, 0});
}
int fake_enqueue(Stream *stream, void (*call)(void)) { return add(stream, (Work){1, 0, 0, 0, call}); }

int cudaEventCreate(void **out) { REFUSE; *out = calloc(1, sizeof(Event)); live++; return OK; }
int cudaEventDestroy(void *event) { free(event); live--; RETURN(OK); }
int cudaEventRecordWithFlags(Event *event, Stream *stream, unsigned flags) {
    REFUSE;
    /* As in CUDA: without the flag a captured record is a dependency and notes no time. */
    if (stream->capturing && flags != 1) return OK;
    if (!stream->capturing && flags != 0) RETURN(INVALID);
    event->reached = 0;
    return add(stream, (Work){2, event, 0, 0, 0});
}
int cudaEventElapsedTime(float *ms, Event *begin, Event *end) {
    if (!begin->reached || !end->reached) RETURN(600);
    *ms = end->ms - begin->ms; RETURN(OK);
}

int cudaStreamBeginCapture(Stream *stream, int mode) {
    (void)mode; REFUSE; stream->capturing = 1; stream->recorded.count = 0; return OK;
}
int cudaStreamEndCapture(Stream *stream, void **graph) {
    if (!stream->capturing) RETURN(INVALID);
    stream->capturing = 0;
    REFUSE;
    Queue *made = calloc(1, sizeof(Queue));
    for (int i = 0; i < stream->recorded.count; i++) push(made, stream->recorded.all[i]);
    live++;
    *graph = made;
    return OK;
}
int cudaGraphInstantiateWithFlags(void **out, Queue *graph, unsigned long long flags) {
    (void)flags; REFUSE;
    Queue *made = calloc(1, sizeof(Queue));
    for (int i = 0; i < graph->count; i++) push(made, graph->all[i]);
    live++;
    *out = made;
    return OK;
}
int cudaGraphLaunch(Queue *graph, Stream *stream) {
    REFUSE;
    for (int i = 0; i < graph->count; i++) push(&stream->waiting, graph->all[i]);
    return OK;
}
int cudaGraphDestroy(Queue *graph) { free(graph->all); free(graph); live--; RETURN(OK); }
int cudaGraphExecDestroy(Queue *graph) { free(graph->all); free(graph); live--; RETURN(OK); }
