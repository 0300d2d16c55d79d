/* small.c - see small.h. */
#include "small.h"

static void flip(const void *params, const nano_io *io) {
    const int8_t *const in = (const int8_t *)io->in[0];
    int8_t *const out = (int8_t *)io->out;
    (void)params;
    for (int i = 0; i < SMALL_INPUT_SIZE; i++)
        out[i] = (int8_t)~in[i];
}

static void head(const void *params, const nano_io *io) {
    const int8_t *const in = (const int8_t *)io->in[0];
    int8_t *const out = (int8_t *)io->out;
    (void)params;
    for (int i = 0; i < SMALL_OUTPUT_SIZE; i++)
        out[i] = in[i];
}

static const nano_op ops[] = {
    {flip, NULL, {0, NANO_NONE}, 0, NANO_NONE, SMALL_INPUT_SIZE},
    {head, NULL, {0, NANO_NONE}, SMALL_INPUT_SIZE, NANO_NONE, SMALL_OUTPUT_SIZE},
};

static const char *const names[] = {"flip", "head"};

static const nano_tensor input = {0, SMALL_INPUT_SIZE, {10, 30, 1, 0}, 0.25f, 3, NANO_INT8, "in"};
static const nano_tensor output = {
    SMALL_INPUT_SIZE, SMALL_OUTPUT_SIZE, {4, 0, 0, 0}, 0.0078125f, -1, NANO_INT8, "out"};

const nano_model small_model = {
    .abi = NANO_ABI,
    .name = "small",
    .hash = "0123456789abcdef",
    .ops = ops,
    .op_names = names,
    .op_count = 2,
    .arena_size = SMALL_ARENA_SIZE,
    .inputs = &input,
    .outputs = &output,
    .input_count = 1,
    .output_count = 1,
};
