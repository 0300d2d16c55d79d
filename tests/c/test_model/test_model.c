/* The runner: order, steps, observers, and what nano_init() refuses. The kernels here are the
 * test's own, so that this says nothing about nano's. */
#include "../check/check.h"

#include "nano/nano.h"
#include "nano/weights.h"

enum { SIZE = 4 };

/* out[i] = in[i] + params */
static void add(const void *params, const nano_io *io) {
    const int8_t *const in = (const int8_t *)io->in[0];
    int8_t *const out = (int8_t *)io->out;
    for (int i = 0; i < SIZE; i++)
        out[i] = (int8_t)(in[i] + *(const int8_t *)params);
}

/* out[i] = in0[i] - in1[i], through the scratch. */
static void subtract(const void *params, const nano_io *io) {
    const int8_t *const a = (const int8_t *)io->in[0];
    const int8_t *const b = (const int8_t *)io->in[1];
    int8_t *const scratch = (int8_t *)io->scratch;
    int8_t *const out = (int8_t *)io->out;
    (void)params;
    for (int i = 0; i < SIZE; i++)
        scratch[i] = (int8_t)-b[i];
    for (int i = 0; i < SIZE; i++)
        out[i] = (int8_t)(a[i] + scratch[i]);
}

static const int8_t ten = 10, three = 3;

/* 0: b = a + 10; 1: c = b + 3; 2: d = c - a, with a scratch; d = 13 */
static const nano_op ops[3] = {
    {add, &ten, {0, NANO_NONE}, 4, NANO_NONE, SIZE},
    {add, &three, {4, NANO_NONE}, 8, NANO_NONE, SIZE},
    {subtract, NULL, {8, 0}, 12, 4, SIZE},
};
static const nano_tensor input = {0, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "in"};
static const nano_tensor output = {12, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "out"};
static const nano_model model = {
    .abi = NANO_ABI,
    .name = "test",
    .hash = "0123456789abcdef",
    .ops = ops,
    .inputs = &input,
    .outputs = &output,
    .op_count = 3,
    .input_count = 1,
    .output_count = 1,
    .arena_size = 16,
};

NANO_ALIGNED static uint8_t bytes[64];

static void start(nano_net *net, nano_arena *arena) {
    nano_arena_init(arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_init(net, &model, arena));
    for (int i = 0; i < SIZE; i++)
        nano_input(net)[i] = (int8_t)(i * 5);
}

static void test_init_takes_the_room(void) {
    nano_arena arena;
    nano_net net;
    nano_arena_init(&arena, bytes, sizeof bytes);
    nano_arena_alloc(&arena, 3, 1);
    CHECK_EQUAL(NANO_OK, nano_init(&net, &model, &arena));
    CHECK(net.base == bytes + NANO_ALIGN);
    CHECK_EQUAL(NANO_ALIGN + 16, arena.used);
    CHECK((uint8_t *)nano_input(&net) == net.base);
    CHECK((const uint8_t *)nano_output(&net) == net.base + 12);
}

static void test_init_refuses(void) {
    nano_arena arena;
    nano_net net;
    nano_model bad = model;
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(NULL, &model, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, NULL, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, &model, NULL));
    bad.abi = NANO_ABI + 1;
    CHECK_EQUAL(NANO_ERR_ABI, nano_init(&net, &bad, &arena));
    bad = model;
    bad.ops = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, &bad, &arena));
    bad = model;
    nano_tensor wrong = output;
    wrong.offset = 13;
    bad.outputs = &wrong;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, &bad, &arena));
    bad = model;
    wrong = input;
    wrong.size = UINT32_MAX;
    bad.inputs = &wrong;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, &bad, &arena));
    bad = model;
    bad.output_count = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, &bad, &arena));
    bad = model;
    bad.state_count = 1;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_init(&net, &bad, &arena));
    CHECK_EQUAL(0, arena.high); /* nothing was taken by any of them */
}

static void test_init_needs_the_whole_room(void) {
    nano_arena arena;
    nano_net net;
    net.model = NULL;
    nano_arena_init(&arena, bytes, 15);
    CHECK_EQUAL(NANO_ERR_MEMORY, nano_init(&net, &model, &arena));
    CHECK_EQUAL(0, arena.used);
    CHECK(net.model == NULL);
    nano_arena_init(&arena, bytes, 16);
    CHECK_EQUAL(NANO_OK, nano_init(&net, &model, &arena));
}

static void test_run(void) {
    static const int8_t expected[SIZE] = {13, 13, 13, 13};
    nano_arena arena;
    nano_net net;
    start(&net, &arena);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    CHECK_BYTES(expected, nano_output(&net), SIZE);
    CHECK_EQUAL(0, net.next);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_run(NULL));
}

static void test_step(void) {
    static const int8_t after_0[SIZE] = {10, 15, 20, 25}, after_1[SIZE] = {13, 18, 23, 28};
    nano_arena arena;
    nano_net net;
    start(&net, &arena);
    CHECK_EQUAL(NANO_MORE, nano_step(&net));
    CHECK_BYTES(after_0, nano_op_output(&net, 0), SIZE);
    CHECK_EQUAL(NANO_MORE, nano_step(&net));
    CHECK_BYTES(after_1, nano_op_output(&net, 1), SIZE);
    CHECK_EQUAL(NANO_OK, nano_step(&net));
    CHECK_EQUAL(13, nano_output(&net)[0]);
    CHECK_EQUAL(NANO_MORE, nano_step(&net)); /* the next inference */
    CHECK_EQUAL(1, net.next);
    CHECK_EQUAL(NANO_OK, nano_run(&net)); /* what remains of it */
    CHECK_EQUAL(0, net.next);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_step(NULL));
}

static void test_rewind(void) {
    nano_arena arena;
    nano_net net;
    start(&net, &arena);
    nano_step(&net);
    nano_step(&net);
    nano_rewind(&net);
    for (int i = 0; i < SIZE; i++)
        nano_input(&net)[i] = 1;
    CHECK_EQUAL(NANO_MORE, nano_step(&net));
    CHECK_EQUAL(11, nano_op_output(&net, 0)[0]);
}

/* Two inputs, two outputs, two states: sum += a; out = {sum - b, b}; the last b is kept. */
static void accumulate(const void *params, const nano_io *io) {
    const int8_t *const a = (const int8_t *)io->in[0];
    int8_t *const sum = (int8_t *)io->out;
    (void)params;
    for (int i = 0; i < SIZE; i++)
        sum[i] = (int8_t)(sum[i] + a[i]);
}

static void copy(const void *params, const nano_io *io) {
    (void)params;
    for (int i = 0; i < SIZE; i++)
        ((int8_t *)io->out)[i] = ((const int8_t *)io->in[0])[i];
}

static const nano_op step_ops[3] = {
    {accumulate, NULL, {8, NANO_NONE}, 0, NANO_NONE, SIZE},
    {copy, NULL, {12, NANO_NONE}, 4, NANO_NONE, SIZE},
    {subtract, NULL, {0, 12}, 8, 16, SIZE},
};
static const nano_tensor step_inputs[2] = {
    {8, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "a"},
    {12, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "b"},
};
static const nano_tensor step_outputs[2] = {
    {8, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "difference"},
    {12, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "b"},
};
static const int8_t one_to_four[SIZE] = {1, 2, 3, 4};
static const nano_state step_states[2] = {
    {{0, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "sum"}, one_to_four, 0},
    {{4, SIZE, {SIZE, 0, 0, 0}, 0.5f, 0, NANO_INT8, "last"}, NULL, 0x80},
};
static const nano_model step_model = {
    .abi = NANO_ABI,
    .name = "step",
    .hash = "fedcba9876543210",
    .ops = step_ops,
    .inputs = step_inputs,
    .outputs = step_outputs,
    .states = step_states,
    .op_count = 3,
    .input_count = 2,
    .output_count = 2,
    .state_count = 2,
    .arena_size = 20,
};

static void fill(int8_t *at, int8_t value) {
    for (int i = 0; i < SIZE; i++)
        at[i] = value;
}

/* One step with a and b everywhere; the first element of the first output. */
static int one_step(nano_net *net, int8_t a, int8_t b) {
    fill(nano_input_at(net, 0), a);
    fill(nano_input_at(net, 1), b);
    if (nano_run(net) != NANO_OK || nano_output_at(net, 1)[SIZE - 1] != b)
        return 1000; /* no answer */
    return nano_output(net)[0];
}

static void begin_steps(nano_net *net) {
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 0x55;
    CHECK_EQUAL(NANO_OK, nano_init(net, &step_model, &arena));
}

static void test_states(void) {
    nano_net net;
    begin_steps(&net);
    CHECK_BYTES(one_to_four, (const int8_t *)nano_state_at(&net, 0), SIZE);
    CHECK_EQUAL(-128, ((const int8_t *)nano_state_at(&net, 1))[3]);
    CHECK(nano_state_at(&net, 2) == NULL);
    CHECK(nano_input_at(&net, 2) == NULL);
    CHECK(nano_output_at(&net, 2) == NULL);
    CHECK_EQUAL(1 + 10 - 3, one_step(&net, 10, 3));
    CHECK_EQUAL(1 + 10 + 20 - 4, one_step(&net, 20, 4));
    CHECK_EQUAL(4, ((const int8_t *)nano_state_at(&net, 1))[0]);
    nano_step(&net);
    nano_reset(&net);
    CHECK_EQUAL(0, net.next);
    CHECK_BYTES(one_to_four, (const int8_t *)nano_state_at(&net, 0), SIZE);
    CHECK_EQUAL(1 + 10 - 3, one_step(&net, 10, 3));
}

static void test_saved_states(void) {
    uint8_t saved[NANO_STATE_HEADER + 2 * SIZE + 1];
    const size_t size = nano_saved_state_size(&step_model);
    nano_net net;
    begin_steps(&net);
    CHECK_EQUAL(NANO_STATE_HEADER + 2 * SIZE, size);
    CHECK_EQUAL(0, nano_saved_state_size(&model));
    one_step(&net, 10, 3);
    CHECK_EQUAL(NANO_ERR_MEMORY, nano_save_state(&net, saved, size - 1));
    CHECK_EQUAL(NANO_OK, nano_save_state(&net, saved, sizeof saved));
    CHECK_EQUAL(31 - 4, one_step(&net, 20, 4));
    nano_step(&net);
    CHECK_EQUAL(NANO_ERR_STATE, nano_save_state(&net, saved, sizeof saved));
    CHECK_EQUAL(NANO_OK, nano_load_state(&net, saved, size));
    CHECK_EQUAL(31 - 4, one_step(&net, 20, 4));
    CHECK_EQUAL(51 - 4, one_step(&net, 20, 4));
}

static void test_what_cannot_be_loaded(void) {
    uint8_t saved[NANO_STATE_HEADER + 2 * SIZE + 1] = {0};
    const size_t size = nano_saved_state_size(&step_model);
    nano_arena arena;
    nano_net net, plain;
    begin_steps(&net);
    CHECK_EQUAL(NANO_OK, nano_save_state(&net, saved, size));
    one_step(&net, 10, 3);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_load_state(&net, saved, size + 1));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_load_state(&net, saved, size - 1));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_load_state(&net, saved, 3));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_load_state(&net, NULL, size));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_save_state(&net, NULL, size));
    for (size_t i = 0; i < size; i++) {
        saved[i] ^= 0x10;
        CHECK_EQUAL(i < 4 ? NANO_ERR_ABI : NANO_ERR_CHECKSUM, nano_load_state(&net, saved, size));
        saved[i] ^= 0x10;
    }
    CHECK_EQUAL(31 - 4, one_step(&net, 20, 4)); /* nothing of it was taken */
    nano_arena_init(&arena, bytes + 32, 32);
    CHECK_EQUAL(NANO_OK, nano_init(&plain, &model, &arena));
    CHECK_EQUAL(NANO_ERR_STATE, nano_save_state(&plain, saved, size));
    CHECK_EQUAL(NANO_ERR_STATE, nano_load_state(&plain, saved, size));
}

typedef struct {
    int calls;
    uint16_t op[8];
    nano_event event[8];
    int8_t first[8]; /* of the op's output */
    const nano_net *net;
} record;

static void remember(void *user, const nano_net *net, uint16_t op, nano_event event) {
    record *const r = (record *)user;
    if (r->calls < 8) {
        r->op[r->calls] = op;
        r->event[r->calls] = event;
        r->first[r->calls] = nano_op_output(net, op)[0];
        r->net = net;
    }
    r->calls++;
}

static void test_observer(void) {
    static const int8_t ends[3] = {10, 13, 13};
    nano_arena arena;
    nano_net net;
    record r = {0, {0}, {NANO_OP_BEGIN}, {0}, NULL};
    start(&net, &arena);
    nano_observe(&net, remember, &r);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    CHECK_EQUAL(6, r.calls);
    CHECK(r.net == &net);
    for (int i = 0; i < 6; i++) {
        CHECK_EQUAL(i / 2, r.op[i]);
        CHECK_EQUAL(i % 2 == 0 ? NANO_OP_BEGIN : NANO_OP_END, r.event[i]);
        if (i % 2 == 1)
            CHECK_EQUAL(ends[i / 2], r.first[i]);
    }
    nano_observe(&net, NULL, NULL);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    CHECK_EQUAL(6, r.calls);
}

static void test_op_output_of_no_op(void) {
    nano_arena arena;
    nano_net net;
    start(&net, &arena);
    CHECK(nano_op_output(&net, 2) == nano_output(&net));
    CHECK(nano_op_output(&net, 3) == NULL);
}

static void test_model_without_ops(void) {
    nano_model empty = model;
    nano_arena arena;
    nano_net net;
    empty.ops = NULL;
    empty.op_count = 0;
    empty.arena_size = SIZE;
    empty.outputs = empty.inputs;
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_init(&net, &empty, &arena));
    nano_input(&net)[2] = 77;
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    CHECK_EQUAL(77, nano_output(&net)[2]);
    CHECK_EQUAL(NANO_OK, nano_step(&net));
}

/* A file of 16 bytes of weights. */
static const nano_weights_id weights_id = {"0123456789abcdef", 0x11223344u, 16};

static void make_weights(uint8_t *file) {
    static const uint8_t head[] = {'n',      'a',  'n',  'o',  'W',  1,    13,   10,
                                   NANO_ABI, 0,    0,    0,    16,   0,    0,    0,
                                   0x3B,     0x71, 0xF5, 0xB6, 0x44, 0x33, 0x22, 0x11};
    for (unsigned i = 0; i < NANO_WEIGHTS_HEADER + 16; i++)
        file[i] = i < sizeof head ? head[i] : 0;
    for (unsigned i = 0; i < 16; i++)
        file[24 + i] = (uint8_t)weights_id.hash[i];
    file[64] = 1;
    file[65] = 2;
    file[66] = 3;
    file[67] = 250;
}

static void test_weights_of_a_file(void) {
    NANO_ALIGNED static uint8_t file[NANO_WEIGHTS_HEADER + 16];
    const uint8_t *found = NULL;
    make_weights(file);
    CHECK_EQUAL(sizeof file, nano_weights_image_size(file));
    CHECK_EQUAL(NANO_OK, nano_weights_check(&weights_id, file, sizeof file, &found));
    CHECK(found == file + NANO_WEIGHTS_HEADER);
    found = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_weights_check(NULL, file, sizeof file, &found));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_weights_check(&weights_id, NULL, sizeof file, &found));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_weights_check(&weights_id, file, sizeof file, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_weights_check(&weights_id, file, 63, &found));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_weights_check(&weights_id, file, 79, &found));
    CHECK_EQUAL(NANO_ERR_ALIGNMENT, nano_weights_check(&weights_id, file + 1, 64, &found));
    CHECK_EQUAL(0, nano_weights_image_size(NULL));
    CHECK(found == NULL);
}

static void test_weights_that_are_not_the_models(void) {
    static const struct {
        uint8_t at;
        int8_t status;
    } spoiled[] = {
        {0, NANO_ERR_ARGUMENT},  {7, NANO_ERR_ARGUMENT},  {8, NANO_ERR_ABI},  {12, NANO_ERR_ABI},
        {16, NANO_ERR_CHECKSUM}, {20, NANO_ERR_ABI},      {24, NANO_ERR_ABI}, {39, NANO_ERR_ABI},
        {64, NANO_ERR_CHECKSUM}, {79, NANO_ERR_CHECKSUM},
    };
    NANO_ALIGNED static uint8_t file[NANO_WEIGHTS_HEADER + 16];
    for (unsigned i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        const uint8_t *found = NULL;
        make_weights(file);
        file[spoiled[i].at] ^= 1;
        CHECK_EQUAL(spoiled[i].status, nano_weights_check(&weights_id, file, sizeof file, &found));
        CHECK(found == NULL);
    }
    for (unsigned i = 12; i < 16; i++)
        file[i] = 0xFF; /* more than there can be */
    CHECK_EQUAL(0, nano_weights_image_size(file));
}

int main(void) {
    check_begin();
    RUN(test_init_takes_the_room);
    RUN(test_init_refuses);
    RUN(test_init_needs_the_whole_room);
    RUN(test_run);
    RUN(test_step);
    RUN(test_rewind);
    RUN(test_observer);
    RUN(test_op_output_of_no_op);
    RUN(test_model_without_ops);
    RUN(test_states);
    RUN(test_saved_states);
    RUN(test_what_cannot_be_loaded);
    RUN(test_weights_of_a_file);
    RUN(test_weights_that_are_not_the_models);
    return check_end();
}
