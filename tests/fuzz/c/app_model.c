/* app_model.c - see app_model.h. */
#include "app_model.h"
#include "fake_head.h"

static void features(const void *params, const nano_io *io) {
    (void)params;
    for (unsigned i = 0; i < APP_OUTPUT_SIZE; i++)
        ((int8_t *)io->out)[i] = ((const int8_t *)io->in[0])[i];
}

static const nano_op ops[] = {
    {.run = features,
     .in = {0, NANO_NONE},
     .out = 304,
     .scratch = NANO_NONE,
     .out_size = APP_OUTPUT_SIZE},
};

static const char *const names[] = {"features"};

static const nano_tensor input = {
    .size = APP_INPUT_SIZE,
    .shape = {APP_INPUT_SIZE},
    .scale = 0.03125f,
    .type = NANO_INT8,
};
static const nano_tensor output = {
    .offset = 304,
    .size = APP_OUTPUT_SIZE,
    .shape = {APP_OUTPUT_SIZE},
    .scale = 0.0625f,
    .type = NANO_INT8,
};

const nano_model fuzz_model = {
    .abi = NANO_ABI,
    .name = "fuzzed",
    .hash = "0123456789abcdef",
    .ops = ops,
    .op_names = names,
    .op_count = 1,
    .arena_size = APP_ARENA_SIZE,
    .inputs = &input,
    .outputs = &output,
    .input_count = 1,
    .output_count = 1,
};

/* A front end with all that a stream asks of one: FRAME samples make a frame, whose features are
 * the samples, one behind the other, and again. */
#define FRAME 16u
#define FEATURES 30u

typedef struct {
    int16_t samples[FRAME];
    uint32_t filled;
} small_front_end;

static void front_reset(void *front_end) {
    ((small_front_end *)front_end)->filled = 0;
}

static void *front_init(const void *params, nano_arena *arena) {
    (void)params;
    void *const made = nano_arena_alloc(arena, sizeof(small_front_end), 4);
    if (made != NULL)
        front_reset(made);
    return made;
}

static size_t front_feed(void *front_end, const int16_t *samples, size_t n, uint16_t *frame,
                         int *ready) {
    small_front_end *const own = (small_front_end *)front_end;
    size_t taken = 0;
    while (taken < n && own->filled < FRAME)
        own->samples[own->filled++] = samples[taken++];
    *ready = own->filled == FRAME;
    if (*ready) {
        for (uint32_t i = 0; i < FEATURES; i++)
            frame[i] = (uint16_t)own->samples[i % FRAME];
        own->filled = 0;
    }
    return taken;
}

static const nano_front_end front_end = {front_init, front_reset, front_feed, 1};
static const nano_class classes[] = {
    {.index = 0, .refractory = 2, .threshold = 60, .release = INT32_MAX},
    {.index = 3, .refractory = 0, .threshold = -100, .release = -120},
    {.index = 7, .refractory = 1, .threshold = 0, .release = INT32_MAX},
};
static const nano_rule rule = {
    .classes = classes, .class_count = 3, .window = 3, .warm_up = 2, .top = 2};

const nano_stream_params fuzz_stream = {
    .model = &fuzz_model,
    .front_end = &front_end,
    .rule = &rule,
    .features = FEATURES,
    .frames = 10,
    .hop = 3,
    .multiplier = 1,
    .divisor = 256,
};

const nano_train_config fuzz_train = FAKE_HEAD(APP_OUTPUT_SIZE);
