/* The Xtensa boards' compiler helpers against the compiler's own arithmetic: float32 bit by bit
 * (any NaN for any NaN), division and products exactly. */
#include "../check/check.h"

#include <string.h>

#include "../../../firmware/boards/xtensa/runtime.h"

#ifdef CHECK_EMBEDDED
#define ROUNDS 20000u
#else
#define ROUNDS 2000000u
#endif

/* Where formats end: zeros, subnormals, ones, the largest, infinity, NaN, and their neighbours. */
static const uint32_t corners[] = {
    0x00000000, 0x00000001, 0x00000002, 0x00400000, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF,
    0x01000000, 0x33000000, 0x33800000, 0x33800001, 0x34000000, 0x3EFFFFFF, 0x3F000000, 0x3F7FFFFF,
    0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x40000000, 0x4B000000, 0x4B7FFFFF, 0x4B800000, 0x4B800001,
    0x7E7FFFFF, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF};
#define CORNERS (sizeof corners / sizeof *corners)

static uint32_t state = 1;

static uint32_t chance(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Any bits; or, two times out of three, of a size near 1, so that sums do not just return one. */
static uint32_t chance_real(void) {
    const uint32_t bits = chance();
    return chance() % 3 == 0 ? bits : (bits & 0x80FFFFFFu) | (120u + chance() % 16) << 23;
}

static float real_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int same(float a, float b) {
    return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}

static int agrees(uint32_t x, uint32_t y) {
    const volatile float a = real_of(x), b = real_of(y);
    return same(__addsf3(a, b), a + b) && same(__subsf3(a, b), a - b) &&
           same(__mulsf3(a, b), a * b);
}

static void test_corners_of_reals(void) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < CORNERS; i++) {
        for (unsigned j = 0; j < CORNERS; j++) {
            for (uint32_t signs = 0; signs < 4; signs++)
                wrong += !agrees(corners[i] | signs << 31, corners[j] | signs >> 1 << 31);
        }
    }
    CHECK(wrong == 0);
}

static void test_random_reals(void) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++)
        wrong += !agrees(chance_real(), chance_real());
    CHECK(wrong == 0);
}

/* Products whose exact value lies among the subnormals, or just above them. */
static void test_small_products(void) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint32_t a = (chance() & 0x807FFFFFu) | chance() % 130 << 23;
        const uint32_t b = (chance() & 0x807FFFFFu) | chance() % 130 << 23;
        wrong += !agrees(a, b);
    }
    CHECK(wrong == 0);
}

static int converts(uint32_t bits) {
    const volatile uint32_t word = bits;
    const volatile int32_t number = (int32_t)bits;
    return same(__floatsisf(number), (float)number) && same(__floatunsisf(word), (float)word);
}

static void test_conversions(void) {
    unsigned wrong = 0;
    for (uint32_t i = 0; i < 32; i++) {
        for (uint32_t d = 0; d < 5; d++) {
            wrong += !converts((UINT32_C(1) << i) + d - 2);
            wrong += !converts(0u - (UINT32_C(1) << i) + d);
        }
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        wrong += !converts(chance() >> chance() % 32);
    CHECK(wrong == 0);
}

static int divides(uint32_t x, uint32_t y) {
    const volatile uint32_t a = x, b = y;
    const volatile int32_t c = (int32_t)x, d = (int32_t)y;
    if (__udivsi3(a, b) != a / b || __umodsi3(a, b) != a % b)
        return 0;
    if (x == 0x80000000u && y == 0xFFFFFFFFu)
        return 1; /* overflows */
    return __divsi3(c, d) == c / d && __modsi3(c, d) == c % d;
}

static void test_division(void) {
    static const uint32_t edges[] = {1, 2, 3, 10, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF};
    unsigned wrong = 0;
    for (unsigned i = 0; i < 8; i++) {
        wrong += !divides(0, edges[i]);
        for (unsigned j = 0; j < 8; j++)
            wrong += !divides(edges[i], edges[j]);
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        wrong += !divides(chance() >> chance() % 32, (chance() >> chance() % 32) | 1u);
    CHECK(wrong == 0);
    CHECK(__udivsi3(7, 0) == 0 && __umodsi3(7, 0) == 7);
}

static void test_products(void) {
    unsigned wrong = __umulsidi3(0xFFFFFFFFu, 0xFFFFFFFFu) != UINT64_C(0xFFFFFFFE00000001);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const volatile uint64_t a = (uint64_t)chance() << 32 | chance();
        const volatile uint64_t b = (uint64_t)chance() << 32 | chance();
        wrong += __muldi3(a, b) != a * b;
        wrong += __umulsidi3((uint32_t)a, (uint32_t)b) != (a & UINT32_MAX) * (b & UINT32_MAX);
    }
    CHECK(wrong == 0);
}

int main(void) {
    check_begin();
    RUN(test_corners_of_reals);
    RUN(test_random_reals);
    RUN(test_small_products);
    RUN(test_conversions);
    RUN(test_division);
    RUN(test_products);
    return check_end();
}
