/* Doubles in integers against those of the compiler: quotients, roundings, ends. */
#include "../check/check.h"

#include "../../../lib/nano/src/train/double.h"

#define ROUNDS 5000

static uint32_t state = 1;

static uint32_t random_bits(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8 ^ state << 7;
}

/* mantissa * 2^exponent, of the compiler's; every step is exact. */
static double real(nano_train_double a) {
    double value = (double)a.mantissa;
    int32_t exponent = a.exponent;
    for (; exponent > 0; exponent--)
        value *= 2.0;
    for (; exponent < 0; exponent++)
        value *= 0.5;
    return value;
}

static nano_train_double of(uint64_t mantissa, int32_t exponent) {
    return nano_train_double_of(mantissa, exponent);
}

static void test_ratios_are_the_nearest(void) {
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t wide = (uint64_t)random_bits() << 20 | random_bits() >> 12;
        /* small divisors leave no rest, or just half of the last bit */
        const nano_train_double a = of(i % 2 ? wide : random_bits() % 4096, (int32_t)(i % 9) - 4);
        const nano_train_double b = of(1 + random_bits() % (i % 3 ? 4096u : UINT32_MAX), i % 5);
        const nano_train_double ratio = nano_train_double_ratio(a, b);
        CHECK(real(ratio) == real(a) / real(b));
        CHECK(nano_train_double_less(a, b) == (real(a) < real(b)));
    }
}

/* Mantissas of 25 to 27 bits: exact, halves to the even one on either side, and a bit beside. */
static void test_floats_are_the_nearest(void) {
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t mantissa = (uint64_t)(1u << 26 | random_bits() >> 6) + (i % 4 == 0);
        const nano_train_double a = of(i % 7 ? mantissa : (1u << 27) - 1u, i % 80 - 60);
        CHECK(nano_train_double_to_float(a) == (float)real(a));
    }
    CHECK(nano_train_double_to_float(of(0, 0)) == 1.17549435e-38f); /* the least normal one */
    CHECK(nano_train_double_to_float(of(1, -200)) == 1.17549435e-38f);
    CHECK(nano_train_double_to_float(of(1, 200)) == 3.40282347e38f); /* the largest one */
}

static void test_integers_are_the_nearest(void) {
    CHECK_EQUAL(2, nano_train_double_to_integer(of(5, -1), 100)); /* 2.5 */
    CHECK_EQUAL(4, nano_train_double_to_integer(of(7, -1), 100)); /* 3.5 */
    CHECK_EQUAL(3, nano_train_double_to_integer(of(41, -4), 100));
    CHECK_EQUAL(0, nano_train_double_to_integer(of(1, -1), 100));
    CHECK_EQUAL(0, nano_train_double_to_integer(of(1, -3), 100));
    CHECK_EQUAL(0, nano_train_double_to_integer(of(0, 0), 100));
    CHECK_EQUAL(100, nano_train_double_to_integer(of(101, 0), 100));
    CHECK_EQUAL(100, nano_train_double_to_integer(of(1, 40), 100));
}

static void check_multiplier(nano_train_double a, int32_t multiplier, int shift) {
    int32_t found = -1;
    int8_t left = 99;
    CHECK_EQUAL(1, nano_train_double_to_multiplier(a, &found, &left));
    CHECK_EQUAL(multiplier, found);
    CHECK_EQUAL(shift, left);
}

static void test_multipliers(void) {
    int32_t multiplier;
    int8_t shift;
    check_multiplier(of(1, 0), 1 << 30, 1);
    check_multiplier(of(3, -2), 3 << 29, 0);
    check_multiplier(of(((uint64_t)1 << 53) - 1, -53), 1 << 30, 1); /* rounded up to 1 */
    check_multiplier(of(1, -32), 1 << 30, -31);
    check_multiplier(of(1, -33), 0, 0); /* too small to tell from 0 */
    check_multiplier(of(0, 0), 0, 0);
    check_multiplier(of(1, 29), 1 << 30, 30);
    CHECK_EQUAL(0, nano_train_double_to_multiplier(of(1, 30), &multiplier, &shift));
    CHECK_EQUAL(0, multiplier);
}

int main(void) {
    check_begin();
    RUN(test_ratios_are_the_nearest);
    RUN(test_floats_are_the_nearest);
    RUN(test_integers_are_the_nearest);
    RUN(test_multipliers);
    return check_end();
}
