/* Between int8 and a border's types: halves, ends, NaN, infinities, in place. */
#include "../check/check.h"

#include "nano/ops.h"

static void run(nano_kernel kernel, const void *params, const void *in, void *out) {
    const nano_io io = {{in, NULL}, out, NULL};
    kernel(params, &io);
}

static void test_quantize_rounds_halves_away_from_zero(void) {
    static const float in[8] = {0.25f,       -0.25f,       0.75f, -0.75f,
                                0.24999999f, -0.24999999f, 1.0f,  0.0f};
    static const int8_t q[8] = {1, -1, 2, -2, 0, 0, 2, 0};
    const nano_quantize_params p = {0.5f, 0, 8};
    int8_t out[8];
    run(nano_quantize, &p, in, out);
    CHECK_BYTES(q, out, 8);
}

static void test_quantize_saturates(void) {
    const float infinity = 1e38f * 10.0f, tiny = 1e-45f;
    const float in[8] = {117.4f, 117.5f, -137.5f, -138.5f, 1e9f, -1e9f, infinity, -infinity};
    static const int8_t q[8] = {127, 127, -128, -128, 127, -128, 127, -128};
    nano_quantize_params p = {1.0f, 10, 8};
    int8_t out[8];
    run(nano_quantize, &p, in, out);
    CHECK_BYTES(q, out, 8);
    p.scale = tiny; /* the quotients themselves overflow */
    run(nano_quantize, &p, in, out);
    CHECK_BYTES(q, out, 8);
    p.scale = 1e38f;
    p.size = 1;
    run(nano_quantize, &p, &tiny, out);
    CHECK_EQUAL(10, out[0]);
}

static void test_int16_too(void) {
    const float infinity = 1e38f * 10.0f;
    const float in[8] = {0.25f, -0.25f,   0.2f,      1e9f,
                         -1e9f, infinity, -infinity, infinity - infinity};
    static const int16_t q[8] = {1, -1, 0, 32767, -32768, 32767, -32768, 0};
    const nano_quantize_params p = {0.5f, 0, 8};
    int16_t out[8];
    float back[8];
    run(nano_quantize_int16, &p, in, out);
    CHECK_BYTES((const int8_t *)q, (const int8_t *)out, sizeof q);
    run(nano_dequantize_int16, &p, out, back);
    CHECK(back[0] == 0.5f && back[3] == 16383.5f && back[4] == -16384.0f);
}

static void test_quantize_reaches_either_end(void) {
    static const float in[2] = {255.4f, -255.4f};
    nano_quantize_params p = {1.0f, -128, 1};
    int8_t out;
    run(nano_quantize, &p, &in[0], &out);
    CHECK_EQUAL(127, out);
    p.zero_point = 127;
    run(nano_quantize, &p, &in[1], &out);
    CHECK_EQUAL(-128, out);
}

static void test_quantize_of_nan_is_zero(void) {
    const float infinity = 1e38f * 10.0f, nan = infinity - infinity;
    const nano_quantize_params p = {0.1f, -7, 1};
    int8_t out;
    run(nano_quantize, &p, &nan, &out);
    CHECK_EQUAL(-7, out);
}

static void test_quantize_in_place(void) {
    float values[64];
    const nano_quantize_params p = {0.25f, 3, 64};
    for (int i = 0; i < 64; i++)
        values[i] = (float)(i - 32) * 0.25f;
    run(nano_quantize, &p, values, values);
    for (int i = 0; i < 64; i++)
        CHECK_EQUAL(i - 32 + 3, ((const int8_t *)values)[i]);
}

static void test_dequantize(void) {
    static const int8_t in[4] = {-128, 127, 1, 0};
    const nano_quantize_params p = {0.75f, 1, 4};
    float out[4];
    run(nano_dequantize, &p, in, out);
    CHECK(out[0] == -96.75f);
    CHECK(out[1] == 94.5f);
    CHECK(out[2] == 0.0f);
    CHECK(out[3] == -0.75f);
}

/* The input may lie over the output's end: byte k of the output needs byte k / 4 of the input. */
static void test_dequantize_in_place(void) {
    float values[64];
    int8_t *const in = (int8_t *)values + 3 * 64;
    const nano_quantize_params p = {0.5f, 0, 64};
    for (int i = 0; i < 64; i++)
        in[i] = (int8_t)(i - 32);
    run(nano_dequantize, &p, in, values);
    for (int i = 0; i < 64; i++)
        CHECK(values[i] == (float)(i - 32) * 0.5f);
}

static void test_every_value_comes_back(void) {
    static const float scales[4] = {0.003921569f, 1.0f, 0.1f, 12345.678f};
    int8_t q[256], back[256];
    float real[256];
    for (int i = 0; i < 256; i++)
        q[i] = (int8_t)(i - 128);
    for (int s = 0; s < 4; s++) {
        const nano_quantize_params p = {scales[s], (int16_t)(60 * s - 128), 256};
        run(nano_dequantize, &p, q, real);
        run(nano_quantize, &p, real, back);
        CHECK_BYTES(q, back, 256);
    }
}

static void test_flip(void) {
    static const uint8_t in[4] = {0, 127, 128, 255};
    static const int8_t flipped[4] = {-128, -1, 0, 127};
    int8_t out[4];
    const nano_flip_params p = {4};
    run(nano_flip, &p, in, out);
    CHECK_BYTES(flipped, out, 4);
    run(nano_flip, &p, out, out); /* and back, in place */
    CHECK_BYTES((const int8_t *)in, out, 4);
}

int main(void) {
    check_begin();
    RUN(test_quantize_rounds_halves_away_from_zero);
    RUN(test_quantize_saturates);
    RUN(test_int16_too);
    RUN(test_quantize_reaches_either_end);
    RUN(test_quantize_of_nan_is_zero);
    RUN(test_quantize_in_place);
    RUN(test_dequantize);
    RUN(test_dequantize_in_place);
    RUN(test_every_value_comes_back);
    RUN(test_flip);
    return check_end();
}
