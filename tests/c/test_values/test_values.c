/* Real values in, real values and classes out: halves, ends, NaN, every type, what is refused. */
#include "../check/check.h"

#include "nano/nano.h"
#include "nano/values.h"

enum { N = 6 };

/* A model without layers: an output is an input's bytes. */
typedef struct {
    nano_tensor tensor;
    nano_model model;
    nano_net net;
    union {
        int8_t i8[N];
        uint8_t u8[N];
        int16_t i16[N];
        int32_t i32[N];
        float f32[N];
    } bytes;
} border;

static void make(border *b, nano_type type, uint32_t width, float scale, int32_t zero_point) {
    const nano_tensor tensor = {
        .size = N * width, .shape = {N}, .scale = scale, .zero_point = zero_point, .type = type};
    const nano_model model = {.inputs = &b->tensor,
                              .outputs = &b->tensor,
                              .input_count = 1,
                              .output_count = 1,
                              .arena_size = N * width};
    const nano_net net = {.model = &b->model, .base = (uint8_t *)&b->bytes};
    b->tensor = tensor;
    b->model = model;
    b->net = net;
}

static const float infinity = 1e38f * 10.0f;

static void test_halves_and_ends(void) {
    border b;
    const float nan = infinity - infinity;
    const float halves[N] = {0.25f, -0.25f, 0.24999999f, nan, 1e-45f, 0.75f};
    const float far[N] = {infinity, -infinity, 1e9f, -1e9f, 100.0f, -100.0f};
    make(&b, NANO_INT8, 1, 0.5f, 3);
    CHECK_EQUAL(NANO_OK, nano_quantize_input(&b.net, 0, halves));
    static const int8_t rounded[N] = {4, 2, 3, 3, 3, 5};
    CHECK_BYTES(rounded, b.bytes.i8, N);
    CHECK_EQUAL(NANO_OK, nano_quantize_input(&b.net, 0, far));
    static const int8_t ends[N] = {127, -128, 127, -128, 127, -128};
    CHECK_BYTES(ends, b.bytes.i8, N);
    make(&b, NANO_UINT8, 1, 0.5f, 3);
    CHECK_EQUAL(NANO_OK, nano_quantize_input(&b.net, 0, far));
    static const uint8_t unsigned_ends[N] = {255, 0, 255, 0, 203, 0};
    CHECK_BYTES((const int8_t *)unsigned_ends, b.bytes.i8, N);
    make(&b, NANO_INT16, 2, 0.5f, 0);
    CHECK_EQUAL(NANO_OK, nano_quantize_input(&b.net, 0, far));
    CHECK_EQUAL(32767, b.bytes.i16[0]);
    CHECK_EQUAL(-32768, b.bytes.i16[3]);
    CHECK_EQUAL(200, b.bytes.i16[4]);
    make(&b, NANO_FLOAT32, 4, 1.0f, 0);
    CHECK_EQUAL(NANO_OK, nano_quantize_input(&b.net, 0, far));
    CHECK_BYTES((const int8_t *)far, (const int8_t *)b.bytes.f32, sizeof far);
}

static void test_real_outputs(void) {
    border b;
    make(&b, NANO_INT8, 1, 0.5f, 3);
    b.bytes.i8[1] = -128;
    CHECK(nano_output_real(&b.net, 0, 1) == -65.5f);
    make(&b, NANO_UINT8, 1, 0.5f, 3);
    b.bytes.u8[1] = 255;
    CHECK(nano_output_real(&b.net, 0, 1) == 126.0f);
    make(&b, NANO_INT16, 2, 0.5f, 0);
    b.bytes.i16[5] = -32768;
    CHECK(nano_output_real(&b.net, 0, 5) == -16384.0f);
    make(&b, NANO_INT32, 4, 1.0f, 0);
    b.bytes.i32[5] = 70000;
    CHECK(nano_output_real(&b.net, 0, 5) == 70000.0f);
    make(&b, NANO_FLOAT32, 4, 1.0f, 0);
    b.bytes.f32[0] = -0.125f;
    CHECK(nano_output_real(&b.net, 0, 0) == -0.125f);
    CHECK(nano_output_real(&b.net, 0, N) == 0.0f);
    CHECK(nano_output_real(&b.net, 1, 0) == 0.0f);
    CHECK(nano_output_real(NULL, 0, 0) == 0.0f);
}

/* Equal ones in their order, -0 as 0, NaN last. */
static void test_classes_in_their_order(void) {
    border b;
    uint16_t best[N];
    static const int8_t scores[N] = {-128, 5, 127, 5, 127, 0};
    static const uint16_t order[N] = {2, 4, 1, 3, 5, 0};
    make(&b, NANO_INT8, 1, 0.5f, 3);
    for (int i = 0; i < N; i++)
        b.bytes.i8[i] = scores[i];
    CHECK_EQUAL(N, nano_top_classes(&b.net, 0, best, N + 3));
    CHECK_BYTES((const int8_t *)order, (const int8_t *)best, sizeof order);
    best[2] = 77;
    CHECK_EQUAL(2, nano_top_classes(&b.net, 0, best, 2));
    CHECK_EQUAL(77, best[2]);
    const float reals[N] = {infinity - infinity, -0.0f, 0.0f, -2.0f, infinity, -infinity};
    static const uint16_t of_reals[N] = {4, 1, 2, 3, 5, 0};
    make(&b, NANO_FLOAT32, 4, 1.0f, 0);
    for (int i = 0; i < N; i++)
        b.bytes.f32[i] = reals[i];
    CHECK_EQUAL(N, nano_top_classes(&b.net, 0, best, N));
    CHECK_BYTES((const int8_t *)of_reals, (const int8_t *)best, sizeof of_reals);
}

static void test_what_is_not_there_is_refused(void) {
    border b;
    uint16_t best = 9;
    const float real[N] = {1.0f};
    const nano_net unmade = {.model = NULL};
    make(&b, NANO_INT8, 1, 0.5f, 3);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_quantize_input(NULL, 0, real));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_quantize_input(&unmade, 0, real));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_quantize_input(&b.net, 0, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_quantize_input(&b.net, 1, real));
    CHECK(nano_output_real(&unmade, 0, 0) == 0.0f);
    CHECK_EQUAL(0, nano_top_classes(NULL, 0, &best, 1));
    CHECK_EQUAL(0, nano_top_classes(&unmade, 0, &best, 1));
    CHECK_EQUAL(0, nano_top_classes(&b.net, 0, NULL, 1));
    CHECK_EQUAL(0, nano_top_classes(&b.net, 1, &best, 1));
    CHECK_EQUAL(9, best);
    make(&b, NANO_INT32, 4, 1.0f, 0); /* an output's type only */
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_quantize_input(&b.net, 0, real));
}

int main(void) {
    check_begin();
    RUN(test_halves_and_ends);
    RUN(test_real_outputs);
    RUN(test_classes_in_their_order);
    RUN(test_what_is_not_there_is_refused);
    return check_end();
}
