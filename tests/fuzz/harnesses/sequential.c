/* Models built at run time from any numbers: each layer is taken or refused, what is refused leaves
 * arena and shape as they were, and a model that is whole runs inside its memory.
 *
 * Everything that a layer reads lies in blocks of the size that its header asks for, so that the
 * sanitizer sees one byte more. */
#include "../c/fuzz.h"

#include <string.h>

#include "nano/nano.h"
#include "nano/sequential.h"

#define MOST_BYTES ((size_t)1 << 16) /* of weights or activations: larger ones are not tried */
#define MOST_MACS ((uint64_t)1 << 22)
#define BLOCKS 64u

static void *blocks[BLOCKS];
static size_t block_count;

static void *block(size_t size) {
    FUZZ_CHECK(block_count < BLOCKS);
    void *const bytes = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(bytes != NULL);
    return blocks[block_count++] = bytes;
}

static int8_t *fill(fuzz_input *in, size_t size) {
    int8_t *const bytes = (int8_t *)block(size);
    const uint32_t seed = fuzz_byte(in);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (int8_t)(seed * (2 * i + 1) >> 2);
    return bytes;
}

/* Small numbers mostly, sometimes any. */
static uint16_t size_of(fuzz_input *in) {
    const uint32_t byte = fuzz_byte(in);
    return (uint16_t)(byte == 255 ? fuzz_word(in) : byte % 12u);
}

static float scale_of(fuzz_input *in) {
    static const uint32_t odd[] = {0, 0x80000000u, 0x7F800000u, 0x7FC00000u, 1, 0x7F7FFFFFu};
    const uint32_t byte = fuzz_byte(in);
    const uint32_t bits = byte < 6 ? odd[byte] : 0x3F800000u - (byte << 22) % 0x0C000000u;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

static nano_layer_output output_of(fuzz_input *in, size_t channels) {
    const uint32_t byte = fuzz_byte(in);
    nano_layer_output output = {.scale = scale_of(in)};
    output.requant.per_channel = byte % 2;
    const size_t count = byte % 2 ? channels : 1;
    int32_t *const multiplier = (int32_t *)block(4 * count);
    int8_t *const shift = (int8_t *)block(count);
    for (size_t i = 0; i < count; i++) {
        multiplier[i] = (int32_t)(0x40000000u + (fuzz_word(in) << 14)) ^ (byte == 254 ? -1 : 0);
        shift[i] = (int8_t)(byte == 253 ? fuzz_byte(in) : fuzz_byte(in) % 20u - 15u);
    }
    output.requant.multiplier = multiplier;
    output.requant.shift = shift;
    output.requant.zero_point = (int16_t)(byte == 252 ? 200 : (int)fuzz_byte(in) - 128);
    output.requant.min = (int16_t)(byte == 251 ? 5 : -128);
    output.requant.max = (int16_t)(byte == 251 ? 4 : (int)fuzz_byte(in) - 128);
    return output;
}

static int32_t *bias_of(fuzz_input *in, size_t channels) {
    if (fuzz_byte(in) % 2 == 0)
        return NULL;
    int32_t *const bias = (int32_t *)block(4 * channels);
    for (size_t i = 0; i < channels; i++)
        bias[i] = (int32_t)fuzz_long(in) >> fuzz_below(in, 32);
    return bias;
}

static nano_status dense(fuzz_input *in, nano_sequential *seq) {
    const uint16_t outputs = size_of(in);
    const size_t weights = (size_t)outputs * seq->shape.c;
    if (weights > MOST_BYTES || (uint64_t)weights * seq->shape.h * seq->shape.w > MOST_MACS)
        return NANO_ERR_SHAPE;
    const nano_dense_layer layer = {fill(in, weights), bias_of(in, outputs), outputs,
                                    output_of(in, outputs)};
    return nano_sequential_dense(seq, &layer);
}

static nano_status conv2d(fuzz_input *in, nano_sequential *seq) {
    nano_conv2d_layer layer = {.out_c = size_of(in)};
    uint16_t *const numbers[] = {&layer.kernel_h,   &layer.kernel_w,  &layer.stride_h,
                                 &layer.stride_w,   &layer.pad_top,   &layer.pad_left,
                                 &layer.pad_bottom, &layer.pad_right, &layer.dilation_h,
                                 &layer.dilation_w, &layer.groups};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = size_of(in);
    if (fuzz_byte(in) % 4 != 0) /* a group's size is rarely one by chance */
        layer.groups = fuzz_byte(in) % 2 != 0 ? 1 : seq->shape.c;
    const uint16_t groups = layer.groups == 0 ? 1 : layer.groups;
    const uint64_t weights =
        (uint64_t)layer.out_c * layer.kernel_h * layer.kernel_w * (seq->shape.c / groups);
    const uint64_t places = ((uint64_t)seq->shape.h + layer.pad_top + layer.pad_bottom) *
                            ((uint64_t)seq->shape.w + layer.pad_left + layer.pad_right);
    if (weights > MOST_BYTES || weights * places > MOST_MACS)
        return NANO_ERR_SHAPE;
    layer.weights = fill(in, (size_t)weights);
    layer.bias = bias_of(in, layer.out_c);
    layer.output = output_of(in, layer.out_c);
    return nano_sequential_conv2d(seq, &layer);
}

static nano_status pool(fuzz_input *in, nano_sequential *seq) {
    nano_pool_layer layer;
    uint16_t *const numbers[] = {&layer.kernel_h,   &layer.kernel_w, &layer.stride_h,
                                 &layer.stride_w,   &layer.pad_top,  &layer.pad_left,
                                 &layer.pad_bottom, &layer.pad_right};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = size_of(in);
    return fuzz_byte(in) % 2 != 0 ? nano_sequential_max_pool(seq, &layer)
                                  : nano_sequential_average_pool(seq, &layer);
}

static nano_status add_layer(fuzz_input *in, nano_sequential *seq) {
    switch (fuzz_below(in, 6)) {
    case 0:
        return dense(in, seq);
    case 1:
        return conv2d(in, seq);
    case 2:
        return pool(in, seq);
    case 3:
        return nano_sequential_table(seq, fill(in, 256), scale_of(in),
                                     (int16_t)(fuzz_byte(in) - 128));
    case 4:
        return nano_sequential_softmax(seq, scale_of(in));
    }
    return nano_sequential_flatten(seq);
}

static int is_small(nano_shape shape) {
    return (uint64_t)shape.h * shape.w * shape.c <= MOST_BYTES;
}

static void run(nano_net *net) {
    int8_t *const input = nano_input(net);
    for (uint32_t i = 0; i < net->model->inputs[0].size; i++)
        input[i] = (int8_t)(37u * i);
    FUZZ_CHECK(nano_run(net) == NANO_OK);
    const int8_t *const output = nano_output(net);
    volatile int8_t sum = 0;
    for (uint32_t i = 0; i < net->model->outputs[0].size; i++)
        sum = (int8_t)(sum ^ output[i]);
}

static void build(fuzz_input *in, nano_arena *arena) {
    nano_sequential seq = {0};
    nano_net net;
    const uint16_t most = (uint16_t)fuzz_below(in, 9);
    const nano_shape shape = {size_of(in), size_of(in), size_of(in)};
    const float scale = scale_of(in);
    const int16_t zero_point = (int16_t)((int)fuzz_byte(in) - 120);
    if (nano_sequential_begin(&seq, arena, most, shape, scale, zero_point) != NANO_OK) {
        FUZZ_CHECK(arena->used == 0);
        return;
    }
    int small = is_small(seq.shape);
    for (uint32_t layers = fuzz_below(in, 9); layers > 0 && small; layers--) {
        const size_t used = arena->used;
        const nano_sequential before = seq;
        if (add_layer(in, &seq) != NANO_OK) {
            FUZZ_CHECK(arena->used == used && seq.op_count == before.op_count);
            FUZZ_CHECK(memcmp(&seq.shape, &before.shape, sizeof seq.shape) == 0);
        }
        small = is_small(seq.shape);
    }
    if (small && nano_sequential_end(&seq, &net) == NANO_OK)
        run(&net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, data + size};
    nano_arena arena;
    const size_t room = 64u * (fuzz_byte(&in) + 1u) * (fuzz_byte(&in) % 8u == 0 ? 1u : 16u);
    void *bytes = NULL;
    FUZZ_CHECK(posix_memalign(&bytes, 16, room) == 0);
    if (nano_arena_init(&arena, (uint8_t *)bytes, room) == NANO_OK)
        build(&in, &arena);
    while (block_count > 0)
        free(blocks[--block_count]);
    free(bytes);
    return 0;
}
