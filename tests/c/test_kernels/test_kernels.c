/* The kernels: small cases reckoned by hand, random ones against naive.c, and the order of reads
 * and writes that nano/ops.h promises. */
#include "../check/check.h"

#include "nano/ops.h"
#include "naive.h"

static const int32_t one = 1 << 30; /* with shift 1: times 1.0 */
static const int8_t shift_1 = 1, shift_0 = 0;

static nano_requant times_one(int16_t zero_point) {
    const nano_requant r = {&one, &shift_1, 0, zero_point, -128, 127};
    return r;
}

static void run(nano_kernel kernel, const void *params, const int8_t *in, int8_t *out) {
    const nano_io io = {{in, NULL}, out, NULL};
    kernel(params, &io);
}

/* --- By hand ------------------------------------------------------------------------------- */

static void test_dense(void) {
    static const int8_t w[6] = {1, 2, 3, -4, 5, -6}, in[6] = {1, 1, 1, 10, -20, 30};
    static const int32_t bias[2] = {0, 100};
    static const int8_t expected[4] = {6 - 5, 95 - 5, 60 - 5, -128};
    const nano_dense_params p = {w, bias, times_one(-5), 2, 3, 2};
    int8_t out[4];
    run(nano_dense, &p, in, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_dense_per_channel_and_clamp(void) {
    static const int8_t w[3] = {1, 1, 1}, in[1] = {100};
    static const int32_t bias[3] = {0, 0, -200};
    static const int32_t multiplier[3] = {1 << 30, 1 << 30, 1 << 30};
    static const int8_t shift[3] = {1, -1, 1};
    static const int8_t expected[3] = {60, 25, 0};
    const nano_dense_params p = {w, bias, {multiplier, shift, 1, 0, 0, 60}, 1, 1, 3};
    int8_t out[3];
    run(nano_dense, &p, in, out);
    CHECK_BYTES(expected, out, 3);
}

static void test_dense_extremes(void) {
    enum { N = 1024 };
    static int8_t w[N], in[N];
    static const int32_t largest = INT32_MAX;
    int32_t bias = INT32_MAX - 128 * 128 * N;
    nano_dense_params p = {w, &bias, {&largest, &shift_0, 0, 127, -128, 127}, 1, N, 1};
    int8_t out;
    for (int i = 0; i < N; i++)
        w[i] = in[i] = -128;
    run(nano_dense, &p, in, &out); /* the accumulator is INT32_MAX; the sum with 127 wraps */
    CHECK_EQUAL(-128, out);
    p.requant.zero_point = -128;
    run(nano_dense, &p, in, &out);
    CHECK_EQUAL(127, out);
}

/* Gates i, f and o are sigmoid(0), g is tanh of the largest argument; c is clipped on both sides.
 */
static void test_lstm(void) {
    static const int8_t w[8] = {0, 0, 0, 0, 1, 0, 0, 0}, x[2] = {64, -64};
    static const int32_t none[8] = {0}, half[8] = {1 << 30, 1 << 30, 1 << 30, 1 << 30,
                                                   1 << 30, 1 << 30, 1 << 30, 1 << 30};
    static const int8_t shift[8] = {0, 0, 0, 0, 10, 0, 0, 0}, expected[2] = {64 + 1, -64 + 1};
    const nano_lstm_params p = {
        .gates = {w, none, half, shift, 1, 2, 1, 2, 0, 0, {1 << 30, -22}, {1, -128, 127}},
        .cell_shift = 3,
        .cell_min = -8000,
        .cell_max = 16400,
        .write = {1 << 30, -14},
    };
    int8_t out[2] = {0, 99}, h;
    int16_t c = 100; /* 100 / 2 + 16384, then 16400 / 2 - 16384 */
    const nano_io io = {{x, &c}, out, &h};
    nano_lstm(&p, &io);
    CHECK_BYTES(expected, out, 2);
    CHECK_EQUAL(-8000, c);
}

/* r and z are sigmoid(0), n is tanh of the largest argument and of the smallest one: h goes half
 * the way there, 0 to 16384 to -8191, and is kept so; out has 1/256 of it. */
static void test_gru(void) {
    static const int8_t w[6] = {0, 0, 0, 0, 1, 0}, x[2] = {64, -64},
                        expected[2] = {64 + 1, -32 + 1};
    static const int32_t none[6] = {0},
                         half[6] = {1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30};
    static const int8_t shift[6] = {0, 0, 0, 0, 10, 0};
    const nano_gru_params p = {
        .gates = {w, none, half, shift, 1, 2, 1, 2, 0, 0, {1 << 30, -7}, {1, -128, 127}},
        .shift = 0,
    };
    int8_t out[2], h;
    int16_t wide = 0;
    const nano_io io = {{x, &wide}, out, &h};
    nano_gru(&p, &io);
    CHECK_BYTES(expected, out, 2);
    CHECK_EQUAL(-8191, wide);
}

/* Backwards, from 5: 10 + 5, 20 + 15, and what is below 0. */
static void test_rnn(void) {
    static const int8_t w[2] = {1, 1}, x[3] = {-100, 20, 10}, shift[2] = {1, 1};
    static const int32_t none[2] = {0}, whole[2] = {1 << 30, 1 << 30};
    static const int8_t expected[3] = {0, 35, 15};
    const nano_rnn_params p = {
        .gates = {w, none, whole, shift, 1, 3, 1, 3, 1, 0, {1 << 30, 1}, {0, -128, 127}},
        .relu = 1,
    };
    int8_t out[3] = {5, 99, 99}, h;
    const nano_io io = {{x, NULL}, out, &h};
    nano_rnn(&p, &io);
    CHECK_BYTES(expected, out, 3);
}

/* Two filters of one output: 3 + 8 - 1 and 2, of which the memory keeps 2 more. */
static void test_svdf(void) {
    static const int8_t w[4] = {3, 4, 0, 1}, x[2] = {1, 2}, time[6] = {1, 1, 1, 2, 0, -1};
    static const int32_t offset[2] = {-1, 0}, bias = 5;
    static const int8_t expected[6] = {2, 3, 12, 8, 9, 4};
    int8_t memory[6] = {1, 2, 3, 7, 8, 9}, out;
    const nano_svdf_params p = {w, offset, time, NULL, &bias, {1 << 30, 1},   {1 << 30, 0},
                                2, 1,      2,    3,    2,     {-1, -128, 127}};
    const nano_io io = {{x, memory}, &out, NULL};
    nano_svdf(&p, &io);
    CHECK_BYTES(expected, memory, 6);
    CHECK_EQUAL((5 + 2 + 3 + 12 + 16 - 4) / 2 - 1, out);
}

/* 3x3 image 1..9, 2x2 kernel of ones, zero point 0. */
static nano_conv2d_params small_conv(const int8_t *w, const int32_t *bias) {
    const nano_conv2d_params p = {w, bias, times_one(0), {3, 3, 1, 2, 2, 1, 2, 2, 1, 1, 0, 0, 1, 1},
                                  1, 0};
    return p;
}

static const int8_t image[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static const int8_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
static const int32_t zeros[4] = {0, 0, 0, 0};

static void test_conv2d_valid(void) {
    static const int8_t expected[4] = {12, 16, 24, 28};
    const nano_conv2d_params p = small_conv(ones, zeros);
    int8_t out[4];
    run(nano_conv2d, &p, image, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_conv2d_padding_holds_the_zero_point(void) {
    /* stride 2, one row and column of padding at the top and left; zero point 10 folded in */
    static const int32_t bias[1] = {-40};
    static const int8_t expected[4] = {1 - 10, 5 - 20, 11 - 20, 28 - 40};
    nano_conv2d_params p = small_conv(ones, bias);
    int8_t out[4];
    p.window.stride_h = p.window.stride_w = 2;
    p.window.pad_top = p.window.pad_left = 1;
    p.in_zero_point = 10;
    run(nano_conv2d, &p, image, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_conv2d_dilation(void) {
    static const int8_t w[4] = {1, 10, 2, 3};
    static const int8_t expected[1] = {1 + 30 + 14 + 27};
    nano_conv2d_params p = small_conv(w, zeros);
    int8_t out[1];
    p.window.dilation_h = p.window.dilation_w = 2;
    p.window.out_h = p.window.out_w = 1;
    run(nano_conv2d, &p, image, out);
    CHECK_BYTES(expected, out, 1);
}

static void test_conv2d_groups(void) {
    /* 1x1 over four channels in two groups: outputs 0, 1 see channels 0, 1; 2, 3 see 2, 3 */
    static const int8_t w[8] = {1, 2, 3, 4, 5, 6, 7, 8}, in[4] = {1, 2, 3, 4};
    static const int8_t expected[4] = {5, 11, 39, 53};
    const nano_conv2d_params p = {
        w, zeros, times_one(0), {1, 1, 4, 1, 1, 4, 1, 1, 1, 1, 0, 0, 1, 1}, 2, 0};
    int8_t out[4];
    run(nano_conv2d, &p, in, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_conv2d_window_wholly_outside(void) {
    static const int8_t w[1] = {3}, in[1] = {7};
    static const int32_t bias[1] = {5 - 3 * -9}; /* zero point -9 */
    static const int8_t expected[9] = {5, 5, 5, 5, 5 + 3 * 16, 5, 5, 5, 5};
    const nano_conv2d_params p = {w, bias, times_one(0), {1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                                  1, -9};
    int8_t out[9];
    run(nano_conv2d, &p, in, out);
    CHECK_BYTES(expected, out, 9);
}

static void test_depthwise_conv2d(void) {
    /* two channels, each twice: outputs 0, 1 see channel 0; 2, 3 see channel 1 */
    static const int8_t in[4] = {1, 2, 3, 4}; /* 1, 2, 2 */
    static const int8_t w[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const int8_t expected[4] = {1 + 15, 2 + 18, 6 + 28, 8 + 32};
    const nano_depthwise_conv2d_params p = {
        w, zeros, times_one(0), {1, 2, 2, 1, 1, 4, 1, 2, 1, 1, 0, 0, 1, 1}, 0};
    int8_t out[4];
    run(nano_depthwise_conv2d, &p, in, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_depthwise_conv2d_padding_holds_the_zero_point(void) {
    /* five channels: four together and one alone; 2x1 kernel, padded at the top; zero point 10 */
    static const int8_t in[5] = {11, 12, 13, 14, 15};
    static const int8_t w[10] = {1, 2, 3, 4, 5, 1, 1, 1, 1, -1};
    static const int32_t bias[5] = {-20, -30, -40, -50, -40};
    static const int8_t expected[5] = {1, 2, 3, 4, -5};
    const nano_depthwise_conv2d_params p = {
        w, bias, times_one(0), {1, 1, 5, 1, 1, 5, 2, 1, 1, 1, 1, 0, 1, 1}, 10};
    int8_t out[5];
    run(nano_depthwise_conv2d, &p, in, out);
    CHECK_BYTES(expected, out, 5);
}

static void test_conv_transpose2d(void) {
    /* 1x2 image, 2x2 kernel, stride 2: each pixel becomes a square; zero point 1 */
    static const int8_t in[2] = {3, -1}, w[4] = {1, 2, 3, 4};
    static const int32_t bias[1] = {5};
    static const int8_t expected[8] = {7, 9, 3, 1, 11, 13, -1, -3};
    nano_conv_transpose2d_params p = {
        w, bias, times_one(0), {1, 2, 1, 2, 4, 1, 2, 2, 2, 2, 0, 0, 1, 1}, 1};
    int8_t out[8];
    run(nano_conv_transpose2d, &p, in, out);
    CHECK_BYTES(expected, out, 8);
    /* stride 3 leaves a gap that holds the bias; the left column is cut off */
    static const int8_t gap[4] = {9, 5, 3, 1};
    p.window.stride_w = 3;
    p.window.pad_left = 1;
    p.window.out_h = 1;
    run(nano_conv_transpose2d, &p, in, out);
    CHECK_BYTES(gap, out, 4);
}

static void test_conv_transpose2d_beyond_the_last_pixel(void) {
    static const int8_t in[1] = {2}, w[1] = {10}; /* kernel 1, stride 2, three more columns */
    static const int8_t expected[4] = {20, 0, 0, 0};
    const nano_conv_transpose2d_params p = {
        w, zeros, times_one(0), {1, 1, 1, 1, 4, 1, 1, 1, 2, 2, 0, 0, 1, 1}, 0};
    int8_t out[4];
    run(nano_conv_transpose2d, &p, in, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_conv_transpose2d_extremes(void) {
    enum { N = 512 };
    static int8_t w[N], in[N];
    const int32_t bias = INT32_MAX - 255 * 128 * N;
    static const int32_t largest = INT32_MAX;
    nano_conv_transpose2d_params p = {w,
                                      &bias,
                                      {&largest, &shift_0, 0, -128, -128, 127},
                                      {1, 1, N, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},
                                      127};
    int8_t out;
    for (int i = 0; i < N; i++)
        w[i] = in[i] = -128;
    run(nano_conv_transpose2d, &p, in, &out); /* the accumulator is INT32_MAX */
    CHECK_EQUAL(127, out);
}

static void test_max_pool(void) {
    static const int8_t in[9] = {-1, -2, -3, -4, -5, -6, -7, -8, -9};
    static const int8_t expected[4] = {-1, -2, -4, -5}; /* padding never wins */
    nano_pool_params p = {{3, 3, 1, 2, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1}, -128, 127};
    int8_t out[4];
    run(nano_max_pool, &p, in, out);
    CHECK_BYTES(expected, out, 4);
    static const int8_t clamped[4] = {-3, -3, -4, -4};
    p.min = -4;
    p.max = -3;
    run(nano_max_pool, &p, in, out);
    CHECK_BYTES(clamped, out, 4);
}

static void test_average_pool(void) {
    static const int8_t in[9] = {1, 2, 3, -4, -1, 0, -1, -2, 127};
    /* padding is not counted; 1; 5/2 = 2.5; -5/2 = -2.5; 124/4 = 31: halves away from zero */
    static const int8_t expected[4] = {1, 3, -3, 31};
    const nano_pool_params p = {{3, 3, 1, 2, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1}, -128, 127};
    int8_t out[4];
    run(nano_average_pool, &p, in, out);
    CHECK_BYTES(expected, out, 4);
}

static void test_average_pool_extremes(void) {
    static int8_t in[400];
    const nano_pool_params p = {{20, 20, 1, 1, 1, 1, 20, 20, 1, 1, 0, 0, 1, 1}, -128, 100};
    int8_t out;
    for (int i = 0; i < 400; i++)
        in[i] = -128;
    run(nano_average_pool, &p, in, &out);
    CHECK_EQUAL(-128, out);
    for (int i = 0; i < 400; i++)
        in[i] = 127;
    run(nano_average_pool, &p, in, &out);
    CHECK_EQUAL(100, out);
}

static void test_conv2d_max_pool(void) {
    /* the sums are 12, 16, 24, 28; the pool's padding never wins */
    static const int32_t bias[1] = {-100};
    static const int8_t largest[4] = {-88, -84, -76, -72}, last[1] = {-72};
    nano_conv2d_max_pool_params p = {small_conv(ones, bias),
                                     {2, 2, 1, 2, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1}};
    int32_t scratch[1];
    int8_t out[4];
    const nano_io io = {{image, NULL}, out, scratch};
    nano_conv2d_max_pool(&p, &io);
    CHECK_BYTES(largest, out, 4);
    const nano_window whole = {2, 2, 1, 1, 1, 1, 2, 2, 1, 1, 0, 0, 1, 1};
    p.pool = whole;
    nano_conv2d_max_pool(&p, &io);
    CHECK_BYTES(last, out, 1);
}

static void test_conv2d_add(void) {
    /* equal scales: the result is a + b - 3, less b's zero point of 2, and ends at 25 */
    static const int8_t b[4] = {2, 3, 4, 5}, expected[4] = {9, 14, 23, 25};
    const nano_factor half = {1 << 30, 0}, back = {1 << 30, -18};
    const nano_conv2d_add_params p = {small_conv(ones, zeros), 2, half, half, back, {-3, -128, 25}};
    int8_t scratch[1], out[4];
    const nano_io io = {{image, b}, out, scratch};
    nano_conv2d_add(&p, &io);
    CHECK_BYTES(expected, out, 4);
}

static void test_table(void) {
    static int8_t table[256];
    int8_t values[5] = {-128, -1, 0, 1, 127};
    static const int8_t expected[5] = {127, 0, -1, -2, -128};
    const nano_table_params p = {table, 5};
    for (int i = 0; i < 256; i++)
        table[i] = (int8_t)(127 - i);
    run(nano_table, &p, values, values); /* in place */
    CHECK_BYTES(expected, values, 5);
}

static void test_transpose(void) {
    static const int8_t in[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};       /* 2, 3, 2 */
    static const int8_t expected[12] = {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}; /* 2, 2, 3 */
    const nano_transpose_params p = {{1, 2, 2, 3}, {0, 1, 6, 2}};
    int8_t out[12];
    run(nano_transpose, &p, in, out);
    CHECK_BYTES(expected, out, 12);
}

/* --- At random, against naive.c -------------------------------------------------------------- */

enum { ROOM = 4096, CHANNELS = 12, CASES = 250 };
static int8_t input[ROOM], weights[ROOM], actual[ROOM], expected_bytes[ROOM], shared[4 * ROOM];
static int32_t bias[CHANNELS], folded[CHANNELS], multiplier[CHANNELS];
static int8_t shift[CHANNELS];

static void fill(int8_t *bytes, int32_t size, uint32_t *state) {
    for (int32_t i = 0; i < size; i++)
        bytes[i] = (int8_t)check_between(state, -128, 127);
}

static uint16_t pick(uint32_t *state, int32_t low, int32_t high) {
    return (uint16_t)check_between(state, low, high);
}

/* A zero point: an end of int8 as often as something between. */
static int16_t pick_zero_point(uint32_t *state) {
    const int32_t choice = check_between(state, 0, 3);
    return (int16_t)(choice == 0 ? -128 : choice == 1 ? 127 : check_between(state, -128, 127));
}

static nano_requant pick_requant(uint32_t *state) {
    nano_requant r = {multiplier, shift, pick(state, 0, 1), pick_zero_point(state), -128, 127};
    for (int o = 0; o < CHANNELS; o++) {
        multiplier[o] = (int32_t)(0x40000000u | (check_random(state) >> 2));
        shift[o] = (int8_t)-check_between(state, 0, 9);
        bias[o] = check_between(state, -20000, 20000);
    }
    if (check_between(state, 0, 1)) {
        r.min = r.zero_point; /* ReLU, ReLU6 */
        r.max = (int16_t)check_between(state, r.min, 127);
    }
    return r;
}

/* What lowering does: bias - zero_point * sum of the filter. */
static void fold(int32_t outputs, int32_t size, int32_t zero_point) {
    for (int32_t o = 0; o < outputs; o++) {
        folded[o] = bias[o];
        for (int32_t i = 0; i < size; i++)
            folded[o] -= zero_point * weights[o * size + i];
    }
}

static uint16_t positions(int32_t padded, int32_t kernel, int32_t dilation, int32_t stride) {
    const int32_t span = (kernel - 1) * dilation + 1;
    return (uint16_t)(span > padded ? 0 : (padded - span) / stride + 1);
}

/* A window that fits ROOM; channels are the caller's. Padding below `kernel` + `extra`. */
static nano_window pick_window(uint32_t *state, uint16_t in_c, uint16_t out_c, int32_t extra) {
    nano_window w;
    do {
        w.in_h = pick(state, 1, 9);
        w.in_w = pick(state, 1, 9);
        w.in_c = in_c;
        w.out_c = out_c;
        w.kernel_h = pick(state, 1, 4);
        w.kernel_w = pick(state, 1, 4);
        w.stride_h = pick(state, 1, 3);
        w.stride_w = pick(state, 1, 3);
        w.pad_top = pick(state, 0, w.kernel_h - 1 + extra);
        w.pad_left = pick(state, 0, w.kernel_w - 1 + extra);
        w.dilation_h = extra ? pick(state, 1, 3) : 1;
        w.dilation_w = extra ? pick(state, 1, 3) : 1;
        w.out_h = positions(w.in_h + w.pad_top + pick(state, 0, w.kernel_h - 1 + extra), w.kernel_h,
                            w.dilation_h, w.stride_h);
        w.out_w = positions(w.in_w + w.pad_left + pick(state, 0, w.kernel_w - 1 + extra),
                            w.kernel_w, w.dilation_w, w.stride_w);
    } while (w.out_h == 0 || w.out_w == 0);
    return w;
}

static int32_t input_size(const nano_window *w) {
    return w->in_h * w->in_w * w->in_c;
}

static int32_t output_size(const nano_window *w) {
    return w->out_h * w->out_w * w->out_c;
}

/* Run the kernel again with the output `distance` bytes below the input in one buffer. */
static void run_shared(nano_kernel kernel, const void *params, int32_t in_size, int32_t distance) {
    int8_t *const out = shared + (distance < 0 ? -distance : 0);
    int8_t *const in = out + distance;
    for (int32_t i = 0; i < in_size; i++)
        in[i] = input[i];
    run(kernel, params, in, out);
    for (int32_t i = 0; i < ROOM; i++)
        actual[i] = out[i];
}

/* The smallest distance from output to input that nano/ops.h allows. */
static int32_t window_distance(const nano_window *w, int32_t groups) {
    const int32_t far = input_size(w);
    int32_t needed = far, distance = -far;
    for (int32_t k = output_size(w) - 1; k >= 0; k--) {
        if (k - needed + 1 > distance)
            distance = k - needed + 1;
        const int32_t first = naive_first_needed(w, groups, k, far);
        if (first < needed)
            needed = first;
    }
    return distance;
}

static void test_dense_at_random(void) {
    uint32_t state = 11;
    for (int n = 0; n < CASES; n++) {
        nano_dense_params p = {weights,
                               folded,
                               pick_requant(&state),
                               pick(&state, 1, 4),
                               pick(&state, 1, 70),
                               pick(&state, 1, CHANNELS)};
        const int32_t in_zero_point = pick_zero_point(&state);
        fill(input, (int32_t)(p.rows * p.in_features), &state);
        fill(weights, (int32_t)(p.out_features * p.in_features), &state);
        fold(p.out_features, (int32_t)p.in_features, in_zero_point);
        naive_dense(&p, bias, in_zero_point, input, expected_bytes);
        run(nano_dense, &p, input, actual);
        CHECK_BYTES(expected_bytes, actual, (size_t)p.rows * p.out_features);
    }
}

/* A convolution at random; its input and weights are filled, its expected output is reckoned. */
static nano_conv2d_params pick_conv2d(uint32_t *state) {
    const uint16_t groups = pick(state, 1, 4), per_group = pick(state, 1, 3);
    nano_conv2d_params p = {weights, folded, pick_requant(state), {0}, groups, 0};
    p.window = pick_window(state, (uint16_t)(groups * pick(state, 1, 3)),
                           (uint16_t)(groups * per_group), 2);
    p.in_zero_point = pick_zero_point(state);
    const int32_t filter = p.window.kernel_h * p.window.kernel_w * (p.window.in_c / groups);
    fill(input, input_size(&p.window), state);
    fill(weights, p.window.out_c * filter, state);
    fold(p.window.out_c, filter, p.in_zero_point);
    naive_conv2d(&p, bias, input, expected_bytes);
    return p;
}

static void test_conv2d_at_random(void) {
    uint32_t state = 12;
    for (int n = 0; n < CASES; n++) {
        const nano_conv2d_params p = pick_conv2d(&state);
        run(nano_conv2d, &p, input, actual);
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.window));
    }
}

static void test_conv2d_over_its_input(void) {
    uint32_t state = 13;
    for (int n = 0; n < CASES; n++) {
        const nano_conv2d_params p = pick_conv2d(&state);
        const int32_t distance = window_distance(&p.window, p.groups);
        for (int32_t more = 0; more < 3; more++) {
            run_shared(nano_conv2d, &p, input_size(&p.window), distance + more);
            CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.window));
        }
    }
}

static int8_t between[ROOM], addend[ROOM];
static int32_t scratch[CHANNELS];

/* A max pool over the output of a convolution. */
static nano_window pick_pool(uint32_t *state, const nano_window *conv) {
    nano_window w;
    do {
        w = pick_window(state, conv->out_c, conv->out_c, 0);
        w.in_h = conv->out_h;
        w.in_w = conv->out_w;
        w.out_h = positions(w.in_h + w.pad_top, w.kernel_h, 1, w.stride_h);
        w.out_w = positions(w.in_w + w.pad_left, w.kernel_w, 1, w.stride_w);
    } while (w.out_h == 0 || w.out_w == 0);
    return w;
}

/* Fused calls give the bytes of the two calls that they stand for. */
static void test_conv2d_max_pool_at_random(void) {
    uint32_t state = 20;
    for (int n = 0; n < CASES; n++) {
        nano_conv2d_max_pool_params p = {pick_conv2d(&state), {0}};
        p.pool = pick_pool(&state, &p.conv.window);
        const nano_pool_params pool = {p.pool, -128, 127};
        const nano_io io = {{input, NULL}, actual, scratch};
        run(nano_conv2d, &p.conv, input, between);
        run(nano_max_pool, &pool, between, expected_bytes);
        nano_conv2d_max_pool(&p, &io);
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.pool));
    }
}

static nano_factor pick_factor(uint32_t *state, int32_t least, int32_t most) {
    const nano_factor f = {(int32_t)(0x40000000u | (check_random(state) >> 2)),
                           (int8_t)check_between(state, least, most)};
    return f;
}

static void test_conv2d_add_at_random(void) {
    uint32_t state = 21;
    for (int n = 0; n < CASES; n++) {
        const nano_conv2d_add_params p = {
            pick_conv2d(&state),           pick_zero_point(&state),
            pick_factor(&state, -3, -1),   pick_factor(&state, -3, -1),
            pick_factor(&state, -20, -17), {pick_zero_point(&state), -99, 99}};
        const uint32_t size = (uint32_t)output_size(&p.conv.window);
        const nano_operands operands = {NULL, NULL, {1, 1, 1, size}, {0, 0, 0, 1}, {0, 0, 0, 1}};
        const nano_add_params add = {operands,       p.conv.requant.zero_point,
                                     p.b_zero_point, p.a_factor,
                                     p.b_factor,     p.out_factor,
                                     p.store};
        const nano_io plain = {{between, addend}, expected_bytes, NULL};
        const nano_io fused = {{input, addend}, actual, scratch};
        fill(addend, (int32_t)size, &state);
        run(nano_conv2d, &p.conv, input, between);
        nano_add(&add, &plain);
        nano_conv2d_add(&p, &fused);
        CHECK_BYTES(expected_bytes, actual, size);
    }
}

static int8_t packed[ROOM];

/* A depthwise convolution at random: as pick_conv2d(), with weights of both layouts. */
static nano_depthwise_conv2d_params pick_depthwise_conv2d(uint32_t *state) {
    nano_depthwise_conv2d_params p = {packed, folded, pick_requant(state), {0}, 0};
    const uint16_t times = check_between(state, 0, 1) ? 1 : pick(state, 1, 3);
    const uint16_t channels = pick(state, 1, CHANNELS / times);
    p.window = pick_window(state, channels, (uint16_t)(channels * times), 2);
    p.in_zero_point = pick_zero_point(state);
    const int32_t out_c = p.window.out_c, area = p.window.kernel_h * p.window.kernel_w;
    fill(input, input_size(&p.window), state);
    fill(weights, out_c * area, state);
    for (int32_t o = 0; o < out_c; o++)
        for (int32_t i = 0; i < area; i++)
            packed[i * out_c + o] = weights[o * area + i];
    fold(out_c, area, p.in_zero_point);
    naive_depthwise_conv2d(&p, weights, bias, input, expected_bytes);
    return p;
}

static void test_depthwise_conv2d_at_random(void) {
    uint32_t state = 17;
    for (int n = 0; n < CASES; n++) {
        const nano_depthwise_conv2d_params p = pick_depthwise_conv2d(&state);
        run(nano_depthwise_conv2d, &p, input, actual);
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.window));
    }
}

static void test_depthwise_conv2d_over_its_input(void) {
    uint32_t state = 18;
    for (int n = 0; n < CASES; n++) {
        const nano_depthwise_conv2d_params p = pick_depthwise_conv2d(&state);
        const int32_t distance = window_distance(&p.window, p.window.in_c);
        for (int32_t more = 0; more < 3; more++) {
            run_shared(nano_depthwise_conv2d, &p, input_size(&p.window), distance + more);
            CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.window));
        }
    }
}

/* A transposed convolution's window: up to two rows and columns beyond what its kernels reach. */
static nano_window pick_transposed_window(uint32_t *state) {
    nano_window w;
    int32_t height, width;
    do {
        const nano_window picked = {.in_h = pick(state, 1, 5),
                                    .in_w = pick(state, 1, 5),
                                    .in_c = pick(state, 1, 4),
                                    .out_c = pick(state, 1, 4),
                                    .kernel_h = pick(state, 1, 4),
                                    .kernel_w = pick(state, 1, 4),
                                    .stride_h = pick(state, 1, 4),
                                    .stride_w = pick(state, 1, 4),
                                    .pad_top = pick(state, 0, 3),
                                    .pad_left = pick(state, 0, 3),
                                    .dilation_h = 1,
                                    .dilation_w = 1};
        w = picked;
        height = (w.in_h - 1) * w.stride_h + w.kernel_h - w.pad_top + check_between(state, -3, 2);
        width = (w.in_w - 1) * w.stride_w + w.kernel_w - w.pad_left + check_between(state, -3, 2);
    } while (height < 1 || width < 1);
    w.out_h = (uint16_t)height;
    w.out_w = (uint16_t)width;
    return w;
}

static int32_t transposed_distance(const nano_window *w) {
    const int32_t far = input_size(w);
    int32_t needed = far, distance = -far;
    for (int32_t k = output_size(w) - 1; k >= 0; k--) {
        if (k - needed + 1 > distance)
            distance = k - needed + 1;
        const int32_t first = naive_first_reaching(w, k, far);
        needed = first < needed ? first : needed;
    }
    return distance;
}

static void test_conv_transpose2d_at_random(void) {
    uint32_t state = 19;
    for (int n = 0; n < CASES; n++) {
        nano_conv_transpose2d_params p = {weights, bias, pick_requant(&state), {0}, 0};
        p.window = pick_transposed_window(&state);
        p.in_zero_point = pick_zero_point(&state);
        const nano_window *const w = &p.window;
        fill(input, input_size(w), &state);
        fill(weights, w->out_c * w->kernel_h * w->kernel_w * w->in_c, &state);
        naive_conv_transpose2d(&p, input, expected_bytes);
        run(nano_conv_transpose2d, &p, input, actual);
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(w));
        run_shared(nano_conv_transpose2d, &p, input_size(w), transposed_distance(w));
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(w));
    }
}

static void check_pool(nano_kernel kernel,
                       void (*naive)(const nano_pool_params *, const int8_t *, int8_t *),
                       uint32_t state) {
    for (int n = 0; n < CASES; n++) {
        const uint16_t channels = pick(&state, 1, CHANNELS);
        nano_pool_params p = {{0}, -128, 127};
        p.window = pick_window(&state, channels, channels, 0);
        if (check_between(&state, 0, 1)) {
            p.min = (int16_t)check_between(&state, -128, 0);
            p.max = (int16_t)check_between(&state, p.min, 127);
        }
        fill(input, input_size(&p.window), &state);
        naive(&p, input, expected_bytes);
        run(kernel, &p, input, actual);
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.window));
        run_shared(kernel, &p, input_size(&p.window), window_distance(&p.window, channels));
        CHECK_BYTES(expected_bytes, actual, (size_t)output_size(&p.window));
    }
}

static void test_max_pool_at_random(void) {
    check_pool(nano_max_pool, naive_max_pool, 14);
}

static void test_average_pool_at_random(void) {
    check_pool(nano_average_pool, naive_average_pool, 15);
}

static void test_dense_over_its_input(void) {
    uint32_t state = 16;
    for (int n = 0; n < CASES; n++) {
        nano_dense_params p = {weights,
                               bias,
                               pick_requant(&state),
                               pick(&state, 1, 4),
                               pick(&state, 1, 20),
                               pick(&state, 1, CHANNELS)};
        const int32_t in_f = (int32_t)p.in_features, out_f = p.out_features;
        int32_t distance = -p.rows * in_f;
        for (int32_t k = 0; k + 1 < p.rows * out_f; k++) {
            const int32_t needed = (k + 1) / out_f * in_f;
            distance = k - needed + 1 > distance ? k - needed + 1 : distance;
        }
        fill(input, p.rows * in_f, &state);
        fill(weights, out_f * in_f, &state);
        run(nano_dense, &p, input, expected_bytes);
        run_shared(nano_dense, &p, p.rows * in_f, distance);
        CHECK_BYTES(expected_bytes, actual, (size_t)(p.rows * out_f));
    }
}

int main(void) {
    check_begin();
    RUN(test_dense);
    RUN(test_dense_per_channel_and_clamp);
    RUN(test_dense_extremes);
    RUN(test_lstm);
    RUN(test_gru);
    RUN(test_rnn);
    RUN(test_svdf);
    RUN(test_conv2d_valid);
    RUN(test_conv2d_padding_holds_the_zero_point);
    RUN(test_conv2d_dilation);
    RUN(test_conv2d_groups);
    RUN(test_conv2d_window_wholly_outside);
    RUN(test_depthwise_conv2d);
    RUN(test_depthwise_conv2d_padding_holds_the_zero_point);
    RUN(test_conv_transpose2d);
    RUN(test_conv_transpose2d_beyond_the_last_pixel);
    RUN(test_conv_transpose2d_extremes);
    RUN(test_max_pool);
    RUN(test_average_pool);
    RUN(test_average_pool_extremes);
    RUN(test_conv2d_max_pool);
    RUN(test_conv2d_add);
    RUN(test_table);
    RUN(test_transpose);
    RUN(test_dense_at_random);
    RUN(test_dense_over_its_input);
    RUN(test_conv2d_at_random);
    RUN(test_conv2d_over_its_input);
    RUN(test_conv2d_max_pool_at_random);
    RUN(test_conv2d_add_at_random);
    RUN(test_depthwise_conv2d_at_random);
    RUN(test_depthwise_conv2d_over_its_input);
    RUN(test_conv_transpose2d_at_random);
    RUN(test_max_pool_at_random);
    RUN(test_average_pool_at_random);
    return check_end();
}
