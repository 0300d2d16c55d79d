/* float.c - float32 sums, products and conversions on integers (IEEE 754-2019, round to nearest,
 * ties to even).
 *
 * A number is sign * fraction * 2^(exponent - 150): the fraction has 24 bits, hidden one included,
 * and a field of 1 as exponent where it is subnormal. Before rounding it carries three more bits
 * below: guard, round, and sticky (whether anything below was lost). */
#include "runtime.h"

#include <string.h>

#define SIGN 0x80000000u
#define INFINITE 0x7F800000u
#define QUIET_NAN 0x7FC00000u
#define HIDDEN 0x00800000u
#define EXTRA 3 /* bits below the fraction */

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float real_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int exponent_of(uint32_t bits) {
    const int field = (int)(bits >> 23 & 0xFFu);
    return field == 0 ? 1 : field;
}

static uint32_t fraction_of(uint32_t bits) {
    const uint32_t fraction = bits & 0x007FFFFFu;
    return (bits & INFINITE) == 0 ? fraction : fraction | HIDDEN;
}

/* value / 2^count, count >= 0; what is lost sets the lowest bit. */
static uint32_t shift_sticky(uint32_t value, int count) {
    if (count == 0)
        return value;
    if (count > 31)
        return value != 0;
    return value >> count | ((value << (32 - count)) != 0);
}

/* The number sign * fraction * 2^(exponent - 150 - EXTRA), rounded; fraction of any size. */
static float pack(uint32_t sign, int exponent, uint32_t fraction) {
    if (fraction == 0)
        return real_of(sign);
    const int shift = __builtin_clz(fraction) - (8 - EXTRA); /* the hidden bit is bit 23 + EXTRA */
    if (shift < 0) {
        fraction = shift_sticky(fraction, -shift);
        exponent -= shift;
    } else {
        const int room = exponent - 1 < shift ? exponent - 1 : shift; /* subnormals keep 1 */
        fraction = room >= 0 ? fraction << room : fraction;
        exponent -= room > 0 ? room : 0;
    }
    if (exponent < 1) {
        fraction = shift_sticky(fraction, 1 - exponent);
        exponent = 1;
    }
    const uint32_t rest = fraction & 7u;
    fraction >>= EXTRA;
    fraction += rest > 4u || (rest == 4u && (fraction & 1u) != 0);
    /* The hidden bit, if there is one, adds 1 to the field: so a carry out of it does, too. */
    const uint32_t bits = ((uint32_t)(exponent - 1) << 23) + fraction;
    return real_of(sign | (exponent > 254 || bits > INFINITE ? INFINITE : bits));
}

static int is_nan(uint32_t bits) {
    return (bits & ~SIGN) > INFINITE;
}

/* The sum where an operand is infinite or NaN. */
static float special_sum(uint32_t a, uint32_t b) {
    const int both = (a & INFINITE) == INFINITE && (b & INFINITE) == INFINITE;
    if (is_nan(a) || is_nan(b) || (both && a != b))
        return real_of(QUIET_NAN);
    return real_of((a & INFINITE) == INFINITE ? a : b);
}

static float sum(uint32_t a, uint32_t b) {
    if ((a & INFINITE) == INFINITE || (b & INFINITE) == INFINITE)
        return special_sum(a, b);
    if ((a & ~SIGN) < (b & ~SIGN)) { /* a is the larger one */
        const uint32_t swapped = a;
        a = b;
        b = swapped;
    }
    const int exponent = exponent_of(a);
    const uint32_t large = fraction_of(a) << EXTRA;
    const uint32_t small = shift_sticky(fraction_of(b) << EXTRA, exponent - exponent_of(b));
    if (((a ^ b) & SIGN) == 0)
        return pack(a & SIGN, exponent, large + small);
    if (large == small)
        return real_of(0); /* x - x is +0 */
    return pack(a & SIGN, exponent, large - small);
}

float __addsf3(float a, float b) {
    return sum(bits_of(a), bits_of(b));
}

float __subsf3(float a, float b) {
    return sum(bits_of(a), bits_of(b) ^ SIGN);
}

float __mulsf3(float x, float y) {
    const uint32_t a = bits_of(x), b = bits_of(y);
    const uint32_t sign = (a ^ b) & SIGN;
    if (is_nan(a) || is_nan(b))
        return real_of(QUIET_NAN);
    if ((a & INFINITE) == INFINITE || (b & INFINITE) == INFINITE) {
        const int zero = (a & ~SIGN) == 0 || (b & ~SIGN) == 0;
        return real_of(zero ? QUIET_NAN : sign | INFINITE);
    }
    /* Two 24-bit fractions are 48 bits; the upper 32, the lower 16 as sticky bit. A subnormal's
     * leading zeros go first, or its bits would be among the lower ones. */
    uint32_t fa = fraction_of(a), fb = fraction_of(b);
    if (fa == 0 || fb == 0)
        return real_of(sign);
    const int left_a = __builtin_clz(fa) - 8, left_b = __builtin_clz(fb) - 8;
    const uint64_t product = __umulsidi3(fa << left_a, fb << left_b);
    const uint32_t fraction = (uint32_t)(product >> 16) | ((product & 0xFFFFu) != 0);
    /* 2^(ea-150) * 2^(eb-150) * 2^16 = 2^(exponent-150-EXTRA) */
    const int exponent = exponent_of(a) - left_a + exponent_of(b) - left_b - 150 + 16 + EXTRA;
    return pack(sign, exponent, fraction);
}

float __floatunsisf(uint32_t value) {
    return pack(0, 150 + EXTRA, value);
}

float __floatsisf(int32_t value) {
    const uint32_t magnitude = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    return pack(value < 0 ? SIGN : 0, 150 + EXTRA, magnitude);
}
