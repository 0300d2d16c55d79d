/* A stream with parts of the test's own: pairs of samples are frames, windows of two frames are
 * what the model passes on. What cannot be is refused, and takes nothing of the arena. */
#include "../check/check.h"

#include "nano/nano.h"
#include "nano/stream.h"

#define FEATURES 2u
#define FRAMES 2u
#define WINDOW (FEATURES * FRAMES)
#define ROOM 256u

/* --- Front end, model and rule ------------------------------------------------------------------
 */

typedef struct {
    int16_t first;
    int has_first;
} pairs;

static void reset_pairs(void *front_end) {
    ((pairs *)front_end)->has_first = 0;
}

static void *init_pairs(const void *params, nano_arena *arena) {
    pairs *const made = (pairs *)nano_arena_alloc(arena, sizeof(pairs), 4);
    (void)params;
    if (made != NULL)
        reset_pairs(made);
    return made;
}

static size_t feed_pairs(void *front_end, const int16_t *samples, size_t n, uint16_t *frame,
                         int *ready) {
    pairs *const p = (pairs *)front_end;
    (void)n;
    *ready = p->has_first;
    if (p->has_first) {
        frame[0] = (uint16_t)p->first;
        frame[1] = (uint16_t)samples[0];
    }
    p->first = samples[0];
    p->has_first = !p->has_first;
    return 1;
}

static const nano_front_end signed_pairs = {init_pairs, reset_pairs, feed_pairs, 1};
static const nano_front_end unsigned_pairs = {init_pairs, reset_pairs, feed_pairs, 0};

static void pass(const void *params, const nano_io *io) {
    const uint8_t *const in = (const uint8_t *)io->in[0];
    uint8_t *const out = (uint8_t *)io->out;
    (void)params;
    for (size_t i = 0; i < WINDOW; i++)
        out[i] = in[i];
}

static const nano_op op = {
    .run = pass, .in = {0, NANO_NONE}, .out = 16, .scratch = NANO_NONE, .out_size = WINDOW};
static nano_tensor input = {0, WINDOW, {WINDOW, 0, 0, 0}, 1.0f, 0, NANO_INT8, "in"};
static nano_tensor output = {16, WINDOW, {WINDOW, 0, 0, 0}, 1.0f, 0, NANO_INT8, "out"};
static nano_model model = {.abi = NANO_ABI,
                           .name = "pass",
                           .hash = "0123456789abcdef",
                           .ops = &op,
                           .op_count = 1,
                           .arena_size = 32,
                           .inputs = &input,
                           .outputs = &output,
                           .input_count = 1,
                           .output_count = 1};
/* The sum of one score, element 3 of the output, has to be above 99. */
static const nano_class classes[] = {{3, 0, 99, INT32_MAX}};
static nano_rule rule = {classes, 1, 1, 0, 1, 0};
static nano_stream_params params = {&model, &signed_pairs, NULL, &rule, FEATURES, FRAMES, 1, 1, 0,
                                    1};

static uint8_t bytes[ROOM] NANO_ALIGNED;
static nano_arena arena;
static nano_stream stream;

/* A new stream in an arena of `room` bytes; what is refused takes none of them. */
static void begin(nano_status expected, size_t room) {
    CHECK_EQUAL(NANO_OK, nano_arena_init(&arena, bytes, room));
    CHECK_EQUAL(expected, nano_stream_init(&stream, &params, &arena));
    CHECK(expected == NANO_OK || nano_arena_free(&arena) == room);
}

/* --- Tests --------------------------------------------------------------------------------------
 */

/* The last step's input, which the model has passed on. */
static const int8_t *passed(void) {
    return (const int8_t *)nano_output(&stream.net);
}

static void test_steps(void) {
    static const int16_t samples[] = {1, -2, 3, 4, 500, -500, 7, 99, 8, 100};
    static const int8_t second[] = {3, 4, 127, -128}, third[] = {127, -128, 7, 99};
    begin(NANO_OK, ROOM);
    CHECK_EQUAL(0, nano_stream_feed(&stream, samples, 3));
    CHECK_EQUAL(0, stream.decider.steps);
    CHECK_EQUAL(0, nano_stream_feed(&stream, samples + 3, 3));
    CHECK_EQUAL(2, stream.decider.steps); /* a window moves on by one frame */
    CHECK_BYTES(second, passed(), WINDOW);
    CHECK_EQUAL(0, nano_stream_feed(&stream, samples + 6, 2)); /* 99 is not above the threshold */
    CHECK_BYTES(third, passed(), WINDOW);
    CHECK_EQUAL(1, nano_stream_feed(&stream, samples + 8, 2));
    CHECK_EQUAL(1, stream.decider.made_count);
    CHECK_EQUAL(3, stream.decider.made[0].index);
    CHECK_EQUAL(3, stream.decider.made[0].step);
    CHECK_EQUAL(100, stream.decider.made[0].sum);
    nano_stream_reset(&stream);
    CHECK_EQUAL(0, nano_stream_feed(&stream, samples + 6, 2)); /* half a window */
    CHECK_EQUAL(0, stream.decider.steps);
    CHECK_EQUAL(1, nano_stream_feed(&stream, samples + 8, 2));
}

/* q = floor((x multiplier + addend) / divisor) + zero point, in the input's range. */
static void test_features_become_inputs(void) {
    static const int16_t samples[] = {-1, 10, -7, 11};
    static const int8_t scaled[] = {-2, 15, -11, 16}, low[] = {-128, -128, -128, -128};
    static const int8_t raised[] = {-1, 20, -1, 21}; /* 255 of uint8 */
    params.multiplier = 3, params.addend = 1, params.divisor = 2;
    begin(NANO_OK, ROOM);
    (void)nano_stream_feed(&stream, samples, 4);
    CHECK_EQUAL(-1, passed()[0]); /* floor(-2 / 2) */
    CHECK_EQUAL(15, passed()[1]);
    CHECK_EQUAL(-10, passed()[2]);
    CHECK_EQUAL(17, passed()[3]);
    params.addend = 0;
    begin(NANO_OK, ROOM);
    (void)nano_stream_feed(&stream, samples, 4);
    CHECK_BYTES(scaled, passed(), WINDOW);
    params.addend = -1000000, params.divisor = 1;
    begin(NANO_OK, ROOM);
    (void)nano_stream_feed(&stream, samples, 4);
    CHECK_BYTES(low, passed(), WINDOW);
    params.multiplier = 1, params.addend = 0, params.front_end = &unsigned_pairs;
    input.type = NANO_UINT8, input.zero_point = 10; /* -1 and -7 are 65535 and 65529 now */
    begin(NANO_OK, ROOM);
    (void)nano_stream_feed(&stream, samples, 4);
    CHECK_BYTES(raised, passed(), WINDOW);
    input.type = NANO_INT8, input.zero_point = 0, params.front_end = &signed_pairs;
}

#define REFUSED(status, place, value)                                                              \
    do {                                                                                           \
        const nano_stream_params params_before = params;                                           \
        const nano_model model_before = model;                                                     \
        const nano_tensor input_before = input, output_before = output;                            \
        const nano_rule rule_before = rule;                                                        \
        (place) = (value);                                                                         \
        begin(status, ROOM);                                                                       \
        params = params_before, model = model_before, rule = rule_before;                          \
        input = input_before, output = output_before;                                              \
    } while (0)

static void test_refused(void) {
    REFUSED(NANO_ERR_ARGUMENT, params.model, NULL);
    REFUSED(NANO_ERR_ARGUMENT, params.front_end, NULL);
    REFUSED(NANO_ERR_ARGUMENT, params.rule, NULL);
    REFUSED(NANO_ERR_ARGUMENT, params.divisor, 0);
    REFUSED(NANO_ERR_ARGUMENT, params.divisor, -1);
    REFUSED(NANO_ERR_ARGUMENT, params.hop, 0);
    REFUSED(NANO_ERR_ARGUMENT, params.hop, FRAMES + 1);
    REFUSED(NANO_ERR_ABI, model.abi, NANO_ABI + 1);
    REFUSED(NANO_ERR_ARGUMENT, model.inputs, NULL);
    REFUSED(NANO_ERR_ARGUMENT, model.outputs, NULL);
    REFUSED(NANO_ERR_SHAPE, model.input_count, 2);
    REFUSED(NANO_ERR_SHAPE, input.size, WINDOW + 1);
    REFUSED(NANO_ERR_SHAPE, input.type, NANO_INT16);
    REFUSED(NANO_ERR_SHAPE, output.type, NANO_INT16);
    REFUSED(NANO_ERR_SHAPE, output.size, 3); /* there is no element 3 */
    REFUSED(NANO_ERR_ARGUMENT, rule.classes, NULL);
    REFUSED(NANO_ERR_ARGUMENT, rule.class_count, 0);
    REFUSED(NANO_ERR_ARGUMENT, rule.window, 0);
    REFUSED(NANO_ERR_ARGUMENT, rule.top, 0);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_stream_init(NULL, &params, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_stream_init(&stream, NULL, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_stream_init(&stream, &params, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_decider_init(NULL, &rule, &output, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_decider_init(&stream.decider, NULL, &output, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_decider_init(&stream.decider, &rule, NULL, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_decider_init(&stream.decider, &rule, &output, NULL));
    begin(NANO_OK, ROOM);
}

/* Every arena that is too small is refused, whole; what a stream takes at most is stated. */
static void test_every_size_of_arena(void) {
    begin(NANO_OK, ROOM);
    const size_t need = ROOM - nano_arena_free(&arena);
    CHECK(need <= model.arena_size + NANO_DECIDER_ROOM(1u, 1u, 1u) +
                      NANO_STREAM_ROOM(FEATURES, FRAMES) + sizeof(pairs));
    for (size_t room = 0; room < need; room++)
        begin(NANO_ERR_MEMORY, room);
    begin(NANO_OK, need);
}

int main(void) {
    check_begin();
    RUN(test_steps);
    RUN(test_features_become_inputs);
    RUN(test_refused);
    RUN(test_every_size_of_arena);
    return check_end();
}
