/* double.c - see double.h. */
#include "double.h"

#include "nano/requant.h"
#include "fixed.h"

#define TOP ((uint64_t)1 << 52) /* the mantissa's highest bit */

nano_train_double nano_train_double_of(uint64_t mantissa, int32_t exponent) {
    nano_train_double result = {mantissa, exponent};
    if (mantissa == 0) {
        result.exponent = 0;
        return result;
    }
    for (; result.mantissa < TOP; result.exponent--)
        result.mantissa <<= 1;
    return result;
}

static uint32_t float_mantissa(float value, int32_t *exponent) {
    const uint32_t bits = nano_train_float_bits(value);
    *exponent = (int32_t)(bits >> 23 & 0xFFu) - 150;
    return (bits & 0x007FFFFFu) | 0x00800000u;
}

nano_train_double nano_train_double_of_float(float value) {
    int32_t exponent;
    const uint32_t mantissa = float_mantissa(value, &exponent);
    return nano_train_double_of(mantissa, exponent);
}

nano_train_double nano_train_double_whole_product(uint32_t a, uint32_t b) {
    uint32_t high, low;
    nano_wide_product(a, b, &high, &low);
    return nano_train_double_of((uint64_t)high << 32 | low, 0);
}

nano_train_double nano_train_double_product(float a, float b) {
    int32_t ea, eb;
    const uint32_t ma = float_mantissa(a, &ea), mb = float_mantissa(b, &eb);
    nano_train_double result = nano_train_double_whole_product(ma, mb);
    result.exponent += ea + eb;
    return result;
}

/* Long division to 54 bits, the last of them to round by, and a remainder. */
nano_train_double nano_train_double_ratio(nano_train_double a, nano_train_double b) {
    nano_train_double result = {0, 0};
    if (a.mantissa == 0)
        return result;
    uint64_t rest = a.mantissa, quotient = 0;
    int32_t exponent = a.exponent - b.exponent;
    if (rest < b.mantissa) {
        rest <<= 1;
        exponent--;
    }
    for (int i = 0; i < 54; i++) {
        quotient <<= 1;
        if (rest >= b.mantissa) {
            rest -= b.mantissa;
            quotient |= 1u;
        }
        rest <<= 1;
    }
    const uint64_t kept = quotient >> 1;
    const int up = (quotient & 1u) != 0 && (rest != 0 || (kept & 1u) != 0);
    return nano_train_double_of(kept + (uint64_t)up, exponent - 52);
}

int nano_train_double_less(nano_train_double a, nano_train_double b) {
    if (a.mantissa == 0 || b.mantissa == 0)
        return b.mantissa != 0;
    return a.exponent != b.exponent ? a.exponent < b.exponent : a.mantissa < b.mantissa;
}

/* mantissa / 2^bits to nearest, ties to even, bits of 1..63 */
static uint64_t drop(uint64_t mantissa, int32_t bits) {
    uint32_t lost = 0, half = 0; /* anything below the last bit dropped; that bit */
    for (; bits > 0; bits--) {
        lost |= half;
        half = (uint32_t)mantissa & 1u;
        mantissa >>= 1;
    }
    return mantissa + (half != 0 && (lost != 0 || (mantissa & 1u) != 0));
}

float nano_train_double_to_float(nano_train_double a) {
    uint32_t mantissa = (uint32_t)drop(a.mantissa, 29);
    int32_t exponent = a.exponent + 29;
    if (mantissa == 0x01000000u) { /* rounded up to the next power of two */
        mantissa >>= 1;
        exponent++;
    }
    if (mantissa == 0 || exponent < -149)
        return nano_train_float_of(0x00800000u);
    if (exponent > 104)
        return nano_train_float_of(0x7F7FFFFFu);
    return nano_train_float_of((uint32_t)(exponent + 150) << 23 | (mantissa & 0x007FFFFFu));
}

uint32_t nano_train_double_to_integer(nano_train_double a, uint32_t limit) {
    if (a.mantissa == 0 || a.exponent < -53)
        return 0;
    if (a.exponent > -22) /* 2^31 and more */
        return limit;
    const uint64_t whole = drop(a.mantissa, -a.exponent);
    return whole > limit ? limit : (uint32_t)whole;
}

int nano_train_double_to_multiplier(nano_train_double a, int32_t *multiplier, int8_t *shift) {
    uint32_t q31 = (uint32_t)((a.mantissa + ((uint64_t)1 << 21)) >> 22);
    int32_t left = a.exponent + 53;
    *multiplier = 0;
    *shift = 0;
    if (q31 == 0x80000000u) {
        q31 >>= 1;
        left++;
    }
    if (q31 == 0 || left < -31)
        return 1;
    if (left > 30)
        return 0;
    *multiplier = (int32_t)q31;
    *shift = (int8_t)left;
    return 1;
}
