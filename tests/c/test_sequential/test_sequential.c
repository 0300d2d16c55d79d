/* Models built at run time: they compute what the kernels compute, and whatever is refused leaves
 * the model and the arena as they were. */
#include "../check/check.h"

#include "nano/nano.h"
#include "nano/sequential.h"

NANO_ALIGNED static uint8_t bytes[4096];
static nano_arena arena;
static nano_sequential seq;

static const int32_t one = 1 << 30; /* with shift 1: times 1.0 */
static const int8_t shift_1 = 1;
static const nano_shape image_shape = {4, 4, 1};

/* 2x2 convolution to two channels: the sum, and the first tap less the last */
static const int8_t conv_weights[10] = {1, 1, 1, 1, 1, 0, 0, -1};
static const int32_t conv_bias[2] = {10, 0};
static const int8_t dense_weights[8] = {1, 1, 1, 1, 1, 1, 1, 1};

static nano_layer_output times_one(int16_t zero_point) {
    const nano_layer_output output = {{&one, &shift_1, 0, zero_point, -128, 127}, 0.5f};
    return output;
}

static nano_conv2d_layer conv_layer(void) {
    const nano_conv2d_layer layer = {conv_weights, conv_bias, 2, 2, 2, 1, 1, 1, 1, 0, 0, 1, 1, 1,
                                     times_one(5)};
    return layer;
}

static nano_dense_layer dense_layer(void) {
    const nano_dense_layer layer = {dense_weights, NULL, 1, times_one(0)};
    return layer;
}

static nano_pool_layer pool_layer(void) {
    const nano_pool_layer layer = {2, 2, 2, 2, 0, 0, 0, 0};
    return layer;
}

/* Begin a model of up to `layers` layers on a 4x4x1 image in `size` bytes of arena. */
static void begin(size_t size, uint16_t layers, float scale, int16_t zero_point) {
    nano_arena_init(&arena, bytes, size);
    CHECK_EQUAL(NANO_OK,
                nano_sequential_begin(&seq, &arena, layers, image_shape, scale, zero_point));
}

/* The image 0..15 as input: real values above the zero point 3. */
static void fill(const nano_net *net) {
    for (int i = 0; i < 16; i++)
        nano_input(net)[i] = (int8_t)(i + 3);
}

static void test_conv_pool_dense(void) {
    nano_net net;
    const nano_conv2d_layer conv = conv_layer();
    const nano_pool_layer pool = pool_layer();
    nano_dense_layer dense = dense_layer();
    dense.output.requant.zero_point = -60;
    begin(sizeof bytes, 3, 0.25f, 3);
    CHECK_EQUAL(NANO_OK, nano_sequential_conv2d(&seq, &conv));
    CHECK(seq.shape.h == 4 && seq.shape.w == 4 && seq.shape.c == 2);
    CHECK_EQUAL(5, seq.zero_point);
    CHECK(seq.scale == 0.5f);
    CHECK_EQUAL(NANO_OK, nano_sequential_max_pool(&seq, &pool));
    CHECK(seq.shape.h == 2 && seq.shape.w == 2 && seq.shape.c == 2);
    CHECK_EQUAL(5, seq.zero_point);
    CHECK_EQUAL(NANO_OK, nano_sequential_flatten(&seq));
    CHECK(seq.shape.h == 1 && seq.shape.w == 1 && seq.shape.c == 8);
    CHECK_EQUAL(NANO_OK, nano_sequential_dense(&seq, &dense));
    CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
    fill(&net);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    /* The image's pixels are 4y + x. The sums grow towards the lower right: 0+1+4+5, 1+2+5+6 ...
     * plus bias 10 plus zero point 5. First less last tap is -5 inside and, where the first tap is
     * padding, minus the pixel: 0 at best, then -1, -2 ... */
    static const int8_t pooled[8] = {25, 5, 33, 3, 57, 0, 65, 0};
    CHECK_BYTES(pooled, nano_op_output(&net, 1), 8);
    CHECK_EQUAL(188 - 8 * 5 - 60, nano_output(&net)[0]);
}

static void test_table_and_softmax_in_place(void) {
    static int8_t negate[256];
    static const int8_t expected[4] = {115, -116, -127, -128}; /* of exp(0, -3, -6, -270) */
    static const nano_shape shape = {1, 1, 4};
    nano_net net;
    for (int i = 0; i < 256; i++)
        negate[i] = (int8_t)(127 - i);
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_sequential_begin(&seq, &arena, 2, shape, 0.1f, 0));
    CHECK_EQUAL(NANO_OK, nano_sequential_table(&seq, negate, 3.0f, -1));
    CHECK_EQUAL(-1, seq.zero_point);
    CHECK_EQUAL(NANO_OK, nano_sequential_softmax(&seq, 1.0f));
    CHECK_EQUAL(-128, seq.zero_point);
    CHECK(seq.scale == 1.0f / 256);
    CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
    CHECK_EQUAL(4, net.model->arena_size); /* one buffer is enough */
    CHECK(nano_input(&net) == nano_output(&net));
    for (int i = 0; i < 4; i++)
        nano_input(&net)[i] = (int8_t)(i == 3 ? 90 : i);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    CHECK_BYTES(expected, nano_output(&net), 4);
}

static void test_descriptor(void) {
    nano_net net;
    const nano_pool_layer pool = pool_layer();
    begin(sizeof bytes, 1, 0.25f, 3);
    CHECK_EQUAL(NANO_OK, nano_sequential_average_pool(&seq, &pool));
    CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
    const nano_model *const model = net.model;
    CHECK_EQUAL(NANO_ABI, model->abi);
    CHECK_EQUAL(1, model->op_count);
    CHECK(model->name != NULL && model->hash != NULL && model->op_names == NULL);
    CHECK(model->inputs[0].size == 16 && model->inputs[0].shape[0] == 4 &&
          model->inputs[0].shape[1] == 4);
    CHECK(model->inputs[0].shape[2] == 1 && model->inputs[0].shape[3] == 0);
    CHECK(model->inputs[0].scale == 0.25f && model->inputs[0].zero_point == 3);
    CHECK(model->outputs[0].size == 4 && model->outputs[0].shape[0] == 2 &&
          model->outputs[0].shape[2] == 1);
    CHECK(model->outputs[0].scale == 0.25f && model->outputs[0].zero_point == 3);
    CHECK_EQUAL(16 + 4, model->arena_size);
    fill(&net);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    static const int8_t expected[4] = {6, 8, 14, 16}; /* 2.5 + 3, 4.5 + 3 ... halves up */
    CHECK_BYTES(expected, nano_output(&net), 4);
}

static void test_dense_on_every_pixel(void) {
    nano_net net;
    nano_dense_layer dense = dense_layer();
    dense.out_features = 3;
    begin(sizeof bytes, 1, 0.25f, 3);
    CHECK_EQUAL(NANO_OK, nano_sequential_dense(&seq, &dense));
    CHECK(seq.shape.h == 4 && seq.shape.w == 4 && seq.shape.c == 3);
    CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
    fill(&net);
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    for (int i = 0; i < 48; i++)
        CHECK_EQUAL(i / 3, nano_output(&net)[i]);
}

/* Grouped, dilated, strided: the shape that follows, and the depthwise result. */
static void test_depthwise(void) {
    static const nano_shape shape = {5, 5, 2};
    nano_net net;
    nano_conv2d_layer conv = conv_layer();
    conv.groups = 2;
    conv.stride_h = 2;
    conv.dilation_w = 3;
    conv.pad_top = conv.pad_left = 0;
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_sequential_begin(&seq, &arena, 1, shape, 1.0f, 0));
    CHECK_EQUAL(NANO_OK, nano_sequential_conv2d(&seq, &conv));
    CHECK(seq.shape.h == 2 && seq.shape.w == 2 && seq.shape.c == 2);
    CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
    for (int i = 0; i < 50; i++)
        nano_input(&net)[i] = (int8_t)i;
    CHECK_EQUAL(NANO_OK, nano_run(&net));
    /* channel 0 at (0, 0): 0 + 6 + 10 + 16 + 10 + 5; channel 1: first less last tap, 1 - 17 + 5 */
    static const int8_t expected[8] = {47, -11, 55, -11, 127, -11, 127, -11};
    CHECK_BYTES(expected, nano_output(&net), 8);
}

/* --- Memory ---------------------------------------------------------------------------------- */

static void test_remaining_is_exact(void) {
    const nano_pool_layer pool = pool_layer();
    for (size_t before = 0; before < 20; before++) { /* every alignment of what came before */
        nano_net net;
        begin(sizeof bytes, 1, 0.25f, 3);
        nano_arena_alloc(&arena, before, 1);
        CHECK_EQUAL(NANO_OK, nano_sequential_max_pool(&seq, &pool));
        nano_arena_alloc(&arena, before, 1);
        const size_t need = nano_sequential_remaining(&seq);
        const size_t used = arena.used, high = arena.high;
        arena.size = used + need - 1;
        CHECK_EQUAL(NANO_ERR_MEMORY, nano_sequential_end(&seq, &net));
        CHECK(arena.used == used && arena.high == high);
        CHECK(nano_sequential_remaining(&seq) == need);
        arena.size = used + need;
        CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
        CHECK_EQUAL(0, nano_arena_free(&arena));
        CHECK_EQUAL(0, nano_sequential_remaining(&seq));
        fill(&net);
        CHECK_EQUAL(NANO_OK, nano_run(&net));
        CHECK_EQUAL(8, nano_output(&net)[0]);
    }
    CHECK_EQUAL(0, nano_sequential_remaining(NULL));
}

static nano_status add_conv(void) {
    const nano_conv2d_layer layer = conv_layer();
    return nano_sequential_conv2d(&seq, &layer);
}

static nano_status add_dense(void) {
    const nano_dense_layer layer = dense_layer();
    return nano_sequential_dense(&seq, &layer);
}

static nano_status add_max_pool(void) {
    const nano_pool_layer layer = pool_layer();
    return nano_sequential_max_pool(&seq, &layer);
}

static nano_status add_average_pool(void) {
    const nano_pool_layer layer = pool_layer();
    return nano_sequential_average_pool(&seq, &layer);
}

static nano_status add_table(void) {
    static const int8_t table[256] = {0};
    return nano_sequential_table(&seq, table, 1.0f, 0);
}

static nano_status add_softmax(void) {
    return nano_sequential_softmax(&seq, 1.0f);
}

enum { KINDS = 6 };
static nano_status (*const add[KINDS])(void) = {add_conv,         add_dense, add_max_pool,
                                                add_average_pool, add_table, add_softmax};

/* Each kind of layer in an arena that grows byte by byte: refused without a trace, then added. */
static void test_full_arena(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        begin(sizeof bytes, 2, 0.25f, 3);
        const size_t used = arena.used;
        nano_status status = NANO_ERR_MEMORY;
        for (arena.size = used; arena.size < sizeof bytes && status != NANO_OK; arena.size++) {
            status = add[kind]();
            CHECK(status == NANO_OK || status == NANO_ERR_MEMORY);
            if (status == NANO_OK)
                break;
            CHECK(arena.used == used && arena.high == used);
            CHECK_EQUAL(0, seq.op_count);
            CHECK(seq.shape.h == 4 && seq.shape.w == 4 && seq.shape.c == 1);
            CHECK(seq.zero_point == 3 && seq.scale == 0.25f);
        }
        CHECK_EQUAL(NANO_OK, status);
        CHECK(arena.size > used && arena.used == arena.size);
        CHECK_EQUAL(1, seq.op_count);
    }
}

static void test_full_of_layers(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        begin(sizeof bytes, 1, 0.25f, 3);
        CHECK_EQUAL(NANO_OK, add_table());
        const size_t used = arena.used;
        CHECK_EQUAL(NANO_ERR_MEMORY, add[kind]());
        CHECK(arena.used == used && seq.op_count == 1);
        CHECK_EQUAL(NANO_OK, nano_sequential_flatten(&seq)); /* is no op */
    }
}

/* --- Refusals -------------------------------------------------------------------------------- */

static void test_begin_refuses(void) {
    static const nano_shape empty = {4, 0, 1}, huge = {65535, 65535, 65535};
    const float infinite = 1e30f * 1e30f;
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_begin(NULL, &arena, 1, image_shape, 1, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_begin(&seq, NULL, 1, image_shape, 1, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_begin(&seq, &arena, 0, image_shape, 1, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_begin(&seq, &arena, 1, image_shape, 1, 128));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_begin(&seq, &arena, 1, image_shape, 1, -129));
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_begin(&seq, &arena, 1, image_shape, 0, 0));
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_begin(&seq, &arena, 1, image_shape, -1, 0));
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_begin(&seq, &arena, 1, image_shape, infinite, 0));
    CHECK_EQUAL(NANO_ERR_RANGE,
                nano_sequential_begin(&seq, &arena, 1, image_shape, infinite - infinite, 0));
    CHECK_EQUAL(NANO_ERR_SHAPE, nano_sequential_begin(&seq, &arena, 1, empty, 1, 0));
    CHECK_EQUAL(NANO_ERR_SHAPE, nano_sequential_begin(&seq, &arena, 1, huge, 1, 0));
    CHECK_EQUAL(NANO_ERR_MEMORY, nano_sequential_begin(&seq, &arena, 1000, image_shape, 1, 0));
    CHECK_EQUAL(0, arena.high);
}

static void test_order_of_calls(void) {
    nano_net net;
    const nano_sequential none = {0};
    seq = none;
    for (int kind = 0; kind < KINDS; kind++)
        CHECK_EQUAL(NANO_ERR_STATE, add[kind]());
    CHECK_EQUAL(NANO_ERR_STATE, nano_sequential_flatten(&seq));
    CHECK_EQUAL(NANO_ERR_STATE, nano_sequential_end(&seq, &net));
    begin(sizeof bytes, 1, 0.25f, 3);
    CHECK_EQUAL(NANO_OK, nano_sequential_flatten(&seq));
    const size_t used = arena.used;
    CHECK_EQUAL(NANO_ERR_STATE, nano_sequential_end(&seq, &net)); /* no layer yet */
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_end(NULL, &net));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_end(&seq, NULL));
    CHECK(arena.used == used && arena.high == used);
    CHECK_EQUAL(NANO_OK, add_table());
    CHECK_EQUAL(NANO_OK, nano_sequential_end(&seq, &net));
    CHECK_EQUAL(NANO_ERR_STATE, nano_sequential_end(&seq, &net)); /* only once */
    CHECK_EQUAL(NANO_ERR_STATE, add_table());
    CHECK_EQUAL(NANO_ERR_STATE, nano_sequential_flatten(&seq));
}

static void test_null_layers(void) {
    static const int8_t table[256] = {0};
    begin(sizeof bytes, 1, 0.25f, 3);
    const size_t used = arena.used;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_conv2d(&seq, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_max_pool(&seq, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_average_pool(&seq, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_table(&seq, NULL, 1, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_table(&seq, table, 1, 128));
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_table(&seq, table, 0, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(NULL, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_conv2d(NULL, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_max_pool(NULL, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_table(NULL, table, 1, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_softmax(NULL, 1));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_flatten(NULL));
    CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
}

static void test_dense_refuses(void) {
    nano_dense_layer layer = dense_layer();
    begin(sizeof bytes, 1, 0.25f, 3);
    const size_t used = arena.used;
    layer.weights = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = dense_layer();
    layer.out_features = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = dense_layer();
    seq.shape.h = 300;
    seq.shape.w = 300; /* more rows than the kernel can count */
    CHECK_EQUAL(NANO_ERR_SHAPE, nano_sequential_dense(&seq, &layer));
    CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
}

static void test_output_refused(void) {
    static const int32_t small[2] = {1 << 30, (1 << 30) - 1}, negative = -1, zero = 0;
    static const int8_t low[2] = {0, -32}, high[2] = {0, 31};
    const nano_dense_layer good = dense_layer();
    nano_dense_layer layer = good;
    begin(sizeof bytes, 3, 0.25f, 3);
    const size_t used = arena.used;
    layer.out_features = 2;
    layer.output.requant.per_channel = 1;
    layer.output.requant.multiplier = small;
    layer.output.requant.shift = low;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &layer)); /* both of channel 1 */
    layer.output.requant.shift = high;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &layer));
    layer = good;
    layer.output.requant.multiplier = &negative;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &layer));
    layer.output.requant.multiplier = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = good;
    layer.output.requant.shift = low + 1;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &layer));
    layer.output.requant.shift = high + 1;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &layer));
    layer.output.requant.shift = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = good;
    layer.output.requant.zero_point = 128;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = good;
    layer.output.requant.min = -129;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = good;
    layer.output.requant.max = 128;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer.output.requant.min = 5;
    layer.output.requant.max = 4;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_dense(&seq, &layer));
    layer = good;
    layer.output.scale = 0;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &layer));
    CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
    layer = good;
    layer.output.requant.multiplier = &zero; /* a dead layer is fine */
    CHECK_EQUAL(NANO_OK, nano_sequential_dense(&seq, &layer));
}

/* |bias| + (|zero point| + 128) * sum |w| has to stay below 2^31: here 3 + 128 times 1. */
static void test_sums_that_could_overflow(void) {
    int32_t bias = INT32_MAX - 131;
    nano_dense_layer dense = dense_layer();
    nano_conv2d_layer conv = conv_layer();
    dense.bias = &bias;
    conv.bias = &bias;
    conv.out_c = conv.kernel_h = conv.kernel_w = 1;
    for (int sign = 0; sign < 2; sign++) {
        begin(sizeof bytes, 1, 0.25f, 3);
        CHECK_EQUAL(NANO_OK, nano_sequential_dense(&seq, &dense));
        begin(sizeof bytes, 1, 0.25f, 3);
        CHECK_EQUAL(NANO_OK, nano_sequential_conv2d(&seq, &conv));
        bias += bias < 0 ? -1 : 1;
        begin(sizeof bytes, 1, 0.25f, 3);
        const size_t used = arena.used;
        CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &dense));
        CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_conv2d(&seq, &conv));
        bias = INT32_MIN;
        CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_dense(&seq, &dense));
        CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
        bias = -INT32_MAX + 131;
    }
}

/* The good layer but for one number. */
static nano_status conv_with(uint16_t field, uint16_t value) {
    nano_conv2d_layer layer = conv_layer();
    layer.out_c = 1;
    uint16_t *const fields[9] = {&layer.out_c,      &layer.kernel_h, &layer.kernel_w,
                                 &layer.stride_h,   &layer.stride_w, &layer.dilation_h,
                                 &layer.dilation_w, &layer.groups,   &layer.pad_bottom};
    *fields[field] = value;
    return nano_sequential_conv2d(&seq, &layer);
}

static void test_conv2d_refuses(void) {
    begin(sizeof bytes, 1, 0.25f, 3);
    const size_t used = arena.used;
    for (uint16_t field = 0; field < 8; field++)
        CHECK_EQUAL(NANO_ERR_ARGUMENT, conv_with(field, 0));
    CHECK_EQUAL(NANO_ERR_SHAPE, conv_with(1, 6)); /* 5 rows with their padding */
    CHECK_EQUAL(NANO_ERR_SHAPE, conv_with(2, 6));
    CHECK_EQUAL(NANO_ERR_SHAPE, conv_with(5, 5)); /* span 6 */
    CHECK_EQUAL(NANO_ERR_SHAPE, conv_with(6, 65535));
    CHECK_EQUAL(NANO_ERR_SHAPE, conv_with(7, 2));     /* of one channel */
    CHECK_EQUAL(NANO_ERR_SHAPE, conv_with(8, 65535)); /* 65538 rows */
    nano_conv2d_layer layer = conv_layer();
    layer.weights = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_conv2d(&seq, &layer));
    layer = conv_layer();
    layer.output.requant.shift = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sequential_conv2d(&seq, &layer));
    CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
    CHECK_EQUAL(NANO_OK, conv_with(1, 5));
}

static void test_pool_refuses(void) {
    begin(sizeof bytes, 1, 0.25f, 3);
    const size_t used = arena.used;
    for (int field = 0; field < 8; field++) {
        nano_pool_layer layer = pool_layer();
        uint16_t *const fields[8] = {&layer.kernel_h,   &layer.kernel_w, &layer.stride_h,
                                     &layer.stride_w,   &layer.pad_top,  &layer.pad_left,
                                     &layer.pad_bottom, &layer.pad_right};
        *fields[field] = field < 4 ? 0 : 2; /* a padding as wide as the window */
        const nano_status expected = field < 4 ? NANO_ERR_ARGUMENT : NANO_ERR_SHAPE;
        CHECK_EQUAL(expected, nano_sequential_max_pool(&seq, &layer));
        CHECK_EQUAL(expected, nano_sequential_average_pool(&seq, &layer));
    }
    nano_pool_layer layer = pool_layer();
    layer.kernel_w = 5;
    CHECK_EQUAL(NANO_ERR_SHAPE, nano_sequential_max_pool(&seq, &layer));
    CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
}

static void test_flatten_refuses(void) {
    static const nano_shape large = {256, 256, 1}, fits = {257, 255, 1};
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_sequential_begin(&seq, &arena, 1, large, 1, 0));
    CHECK_EQUAL(NANO_ERR_SHAPE, nano_sequential_flatten(&seq));
    CHECK_EQUAL(256, seq.shape.h);
    CHECK_EQUAL(NANO_OK, nano_sequential_begin(&seq, &arena, 1, fits, 1, 0));
    CHECK_EQUAL(NANO_OK, nano_sequential_flatten(&seq));
    CHECK_EQUAL(65535, seq.shape.c);
}

/* --- Softmax's multiplier -------------------------------------------------------------------- */

static void test_softmax_scaling(void) {
    static const struct {
        float beta, scale;
        int32_t multiplier;
        int16_t left_shift, diff_min;
    } cases[] = {
        /* by frexp() and double precision */
        {1.0f, 0.0625f, 1073741824, 23, -248}, {1.0f, 0.0078125f, 1073741824, 20, -255},
        {2.5f, 0.1f, 1073741840, 25, -62},     {1.0f, 0.001f, 1099511680, 17, -255},
        {1.0f, 3.0f, 1610612736, 28, -7},      {0.3f, 0.7f, 1803886305, 24, -124},
        {1.0f, 1e-7f, 1801439872, 3, -255},    {1e-20f, 1e20f, 2147483623, 26, -31},
        {100.0f, 1000.0f, 2147483647, 31, 0},  {1.0f, 31.9999f, 2147476992, 31, 0},
        {1.0f, 32.0f, 2147483647, 31, 0},      {1.9999999f, 15.9999f, 2147470080, 31, 0},
        {1.0f, 1.5e-8f, 1080863872, 1, -255},  {1e-40f, 1e38f, 1374382083, 20, -255},
        {3.4e38f, 3.4e38f, 2147483647, 31, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(sizeof bytes, 1, cases[i].scale, 0);
        CHECK_EQUAL(NANO_OK, nano_sequential_softmax(&seq, cases[i].beta));
        const nano_softmax_params *const p = (const nano_softmax_params *)seq.ops[0].params;
        CHECK_EQUAL(cases[i].multiplier, p->multiplier);
        CHECK_EQUAL(cases[i].left_shift, p->left_shift);
        CHECK_EQUAL(cases[i].diff_min, p->diff_min);
        CHECK(p->rows == 16 && p->depth == 1);
    }
}

static void test_softmax_refuses(void) {
    static const nano_shape deep = {1, 1, 8192}, deepest = {1, 1, 8191};
    begin(sizeof bytes, 1, 1e-9f, 0);
    const size_t used = arena.used;
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_softmax(&seq, 1.0f));
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_softmax(&seq, 0.0f));
    CHECK_EQUAL(NANO_ERR_RANGE, nano_sequential_softmax(&seq, -1.0f));
    CHECK(arena.used == used && arena.high == used && seq.op_count == 0);
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_sequential_begin(&seq, &arena, 1, deep, 1, 0));
    CHECK_EQUAL(NANO_ERR_SHAPE, nano_sequential_softmax(&seq, 1.0f));
    CHECK_EQUAL(NANO_OK, nano_sequential_begin(&seq, &arena, 1, deepest, 1, 0));
    CHECK_EQUAL(NANO_OK, nano_sequential_softmax(&seq, 1.0f));
}

int main(void) {
    check_begin();
    RUN(test_conv_pool_dense);
    RUN(test_table_and_softmax_in_place);
    RUN(test_descriptor);
    RUN(test_dense_on_every_pixel);
    RUN(test_depthwise);
    RUN(test_remaining_is_exact);
    RUN(test_full_arena);
    RUN(test_full_of_layers);
    RUN(test_begin_refuses);
    RUN(test_order_of_calls);
    RUN(test_null_layers);
    RUN(test_dense_refuses);
    RUN(test_output_refused);
    RUN(test_sums_that_could_overflow);
    RUN(test_conv2d_refuses);
    RUN(test_pool_refuses);
    RUN(test_flatten_refuses);
    RUN(test_softmax_scaling);
    RUN(test_softmax_refuses);
    return check_end();
}
