/* app_model.c - see app_model.h. */
#include "app_model.h"

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

static const nano_train_layer layers[] = {
    {.outputs = 5, .weight_bits = 12, .activation_bits = 8},
    {.outputs = 4, .weight_bits = 12},
};

const nano_train_config fuzz_train = {
    .backbone = "0123456789abcdef",
    .features = APP_OUTPUT_SIZE,
    .feature_zero_point = 0,
    .feature_scale = 0.0625f,
    .arithmetic = &nano_train_int16,
    .loss = NANO_TRAIN_CROSS_ENTROPY,
    .optimizer = NANO_TRAIN_MOMENTUM,
    .replay = NANO_TRAIN_BALANCED,
    .replay_slots = 6,
    .class_means = 1,
    .layer_count = 2,
    .classes = 3,
    .layers = layers,
    .seed = 7,
    .recipe = {.rate = 0.05f, .momentum = 0.9f, .schedule = NANO_TRAIN_CONSTANT, .batch = 4},
};
