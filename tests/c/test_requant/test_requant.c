/* The fixed-point arithmetic against the definitions, written another way: gemmlowp's nudge and
 * truncating division for the high product, magnitudes for the rounding shift. */
#include "../check/check.h"

#include "nano/requant.h"
#include "halves.h"

static const int32_t edges[] = {
    0,          1,
    -1,         2,
    -2,         3,
    -3,         127,
    -128,       255,
    65535,      65536,
    -65536,     1 << 20,
    1 << 29,    1 << 30,
    -(1 << 30), -(1 << 29),
    INT32_MAX,  INT32_MAX - 1,
    INT32_MIN,  INT32_MIN + 1,
    0x3FFFFFFF, 0x40000001,
    0x55555555, -0x55555555,
    0x7FFF0000, -0x7FFF0000,
};
enum { EDGES = sizeof edges / sizeof edges[0] };

static int32_t reference_high_product(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * b;
    const int64_t half = (int64_t)1 << 30;
    const int64_t nudged = product + (product >= 0 ? half : 1 - half);
    return (int32_t)(nudged / ((int64_t)1 << 31));
}

static int32_t reference_shift_right(int32_t x, int exponent) {
    const int64_t magnitude = x < 0 ? -(int64_t)x : x;
    const int64_t half = exponent == 0 ? 0 : (int64_t)1 << (exponent - 1);
    const int64_t rounded = (magnitude + half) >> exponent;
    return (int32_t)(x < 0 ? -rounded : rounded);
}

/* x modulo 2^32 as an int32. */
static int32_t wrap(int64_t x) {
    int64_t rest = x % ((int64_t)1 << 32);
    if (rest > INT32_MAX)
        rest -= (int64_t)1 << 32;
    if (rest < INT32_MIN)
        rest += (int64_t)1 << 32;
    return (int32_t)rest;
}

static int32_t reference_scale(int32_t acc, int32_t multiplier, int shift) {
    if (shift <= 0)
        return reference_shift_right(reference_high_product(acc, multiplier), -shift);
    return reference_high_product(wrap(acc * ((int64_t)1 << shift)), multiplier);
}

/* The next pair of operands: all pairs of edges first, then random ones. */
static void operands(int i, uint32_t *state, int32_t *a, int32_t *b) {
    if (i < EDGES * EDGES) {
        *a = edges[i / EDGES];
        *b = edges[i % EDGES];
    } else {
        *a = (int32_t)check_random(state) >> (check_random(state) % 31u);
        *b = (int32_t)check_random(state) >> (check_random(state) % 31u);
    }
}

enum { PAIRS = EDGES * EDGES + 20000 };

static void test_high_product(void) {
    uint32_t state = 1;
    for (int i = 0; i < PAIRS; i++) {
        int32_t a, b;
        operands(i, &state, &a, &b);
        if (a == INT32_MIN && b == INT32_MIN)
            continue; /* excluded by its contract */
        CHECK_EQUAL(reference_high_product(a, b), nano_high_product(a, b));
        CHECK_EQUAL(reference_high_product(a, b), halves_high_product(a, b));
    }
}

static void test_wide_product(void) {
    uint32_t state = 2;
    for (int i = 0; i < PAIRS; i++) {
        int32_t a, b;
        uint32_t high, low;
        operands(i, &state, &a, &b);
        const uint64_t product = (uint64_t)(uint32_t)a * (uint32_t)b;
        nano_wide_product((uint32_t)a, (uint32_t)b, &high, &low);
        CHECK(high == (uint32_t)(product >> 32) && low == (uint32_t)product);
        halves_wide_product((uint32_t)a, (uint32_t)b, &high, &low);
        CHECK(high == (uint32_t)(product >> 32) && low == (uint32_t)product);
    }
}

static void test_rounding_shift_right(void) {
    uint32_t state = 3;
    for (int exponent = 0; exponent <= 31; exponent++) {
        for (int i = 0; i < EDGES; i++)
            CHECK_EQUAL(reference_shift_right(edges[i], exponent),
                        nano_rounding_shift_right(edges[i], exponent));
        for (int i = 0; i < 1000; i++) {
            const int32_t x = (int32_t)check_random(&state);
            CHECK_EQUAL(reference_shift_right(x, exponent), nano_rounding_shift_right(x, exponent));
        }
    }
}

static void test_halves(void) {
    CHECK_EQUAL(1, nano_rounding_shift_right(1, 1)); /* away from zero */
    CHECK_EQUAL(-1, nano_rounding_shift_right(-1, 1));
    CHECK_EQUAL(2, nano_rounding_shift_right(3, 1));
    CHECK_EQUAL(-2, nano_rounding_shift_right(-3, 1));
    CHECK_EQUAL(1, nano_high_product(1, 1 << 30)); /* up */
    CHECK_EQUAL(0, nano_high_product(-1, 1 << 30));
    CHECK_EQUAL(-1, nano_high_product(-3, 1 << 30));
}

static void test_scale_all_shifts(void) {
    static const int32_t multipliers[] = {0,          1 << 30,       (1 << 30) + 1,
                                          1518500250, INT32_MAX - 1, INT32_MAX};
    uint32_t state = 4;
    for (int shift = -31; shift <= 30; shift++) {
        for (int m = 0; m < 6; m++) {
            for (int i = 0; i < EDGES; i++)
                CHECK_EQUAL(reference_scale(edges[i], multipliers[m], shift),
                            nano_scale(edges[i], multipliers[m], shift));
        }
        for (int i = 0; i < 500; i++) {
            const int32_t acc = (int32_t)check_random(&state) >> (check_random(&state) % 31u);
            const int32_t m = (int32_t)(0x40000000u | (check_random(&state) >> 2));
            CHECK_EQUAL(reference_scale(acc, m, shift), nano_scale(acc, m, shift));
        }
    }
}

static void test_scale_rounds_twice(void) {
    /* 3 / 2 / 4 = 0.375; but 1.5 becomes 2 first, and then 2 / 4 = 0.5 becomes 1. */
    CHECK_EQUAL(1, nano_scale(3, 1 << 30, -2));
    CHECK_EQUAL(0, nano_scale(-3, 1 << 30, -2)); /* -1.5 becomes -1, -0.25 becomes 0 */
}

static void test_requantize_clamps_and_chooses_the_channel(void) {
    static const int32_t multiplier[2] = {1 << 30, 1 << 30};
    static const int8_t shift[2] = {1, -1};
    nano_requant r = {multiplier, shift, 1, -3, -128, 127};
    CHECK_EQUAL(97, nano_requantize(100, &r, 0));
    CHECK_EQUAL(22, nano_requantize(100, &r, 1));
    r.per_channel = 0;
    CHECK_EQUAL(97, nano_requantize(100, &r, 1));
    CHECK_EQUAL(127, nano_requantize(1000000, &r, 0));
    CHECK_EQUAL(-128, nano_requantize(-1000000, &r, 0));
    r.min = -3;
    r.max = 50;
    CHECK_EQUAL(-3, nano_requantize(-1, &r, 0));
    CHECK_EQUAL(-2, nano_requantize(1, &r, 0));
    CHECK_EQUAL(50, nano_requantize(54, &r, 0));
}

static void test_requantize_extreme_zero_points(void) {
    static const int32_t multiplier = 1 << 30;
    static const int8_t shift = 1;
    nano_requant r = {&multiplier, &shift, 0, 127, -128, 127};
    for (int32_t acc = -300; acc <= 300; acc++) {
        r.zero_point = 127;
        CHECK_EQUAL(acc > 0 ? 127 : acc < -255 ? -128 : acc + 127, nano_requantize(acc, &r, 0));
        r.zero_point = -128;
        CHECK_EQUAL(acc < 0 ? -128 : acc > 255 ? 127 : acc - 128, nano_requantize(acc, &r, 0));
    }
}

int main(void) {
    check_begin();
    RUN(test_high_product);
    RUN(test_wide_product);
    RUN(test_rounding_shift_right);
    RUN(test_halves);
    RUN(test_scale_all_shifts);
    RUN(test_scale_rounds_twice);
    RUN(test_requantize_clamps_and_chooses_the_channel);
    RUN(test_requantize_extreme_zero_points);
    return check_end();
}
