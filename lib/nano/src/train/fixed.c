/* fixed.c - integers that stand for reals: see fixed.h. */
#include "fixed.h"

uint32_t nano_train_random_below(uint32_t *state, uint32_t count) {
    uint32_t high, low;
    nano_wide_product(nano_train_random(state), count, &high, &low);
    return high;
}

uint32_t nano_train_float_bits(float value) {
    union {
        float real;
        uint32_t bits;
    } view;
    view.real = value;
    return view.bits;
}

float nano_train_float_of(uint32_t bits) {
    union {
        float real;
        uint32_t bits;
    } view;
    view.bits = bits;
    return view.real;
}

nano_train_factor nano_train_factor_of(uint32_t mantissa, int32_t exponent) {
    nano_train_factor result = {mantissa, exponent + 32};
    if (mantissa == 0)
        result.exponent = 0;
    else
        for (; result.mantissa < 0x80000000u; result.exponent--)
            result.mantissa <<= 1;
    return result;
}

nano_train_factor nano_train_factor_of_float(float value) {
    const uint32_t bits = nano_train_float_bits(value) & 0x7FFFFFFFu;
    const uint32_t fraction = bits & 0x007FFFFFu;
    const int32_t field = (int32_t)(bits >> 23);
    return field == 0 ? nano_train_factor_of(fraction, -149)
                      : nano_train_factor_of(fraction | 0x00800000u, field - 150);
}

nano_train_factor nano_train_times(nano_train_factor a, nano_train_factor b) {
    uint32_t high, low;
    nano_wide_product(a.mantissa, b.mantissa, &high, &low);
    nano_train_factor result = {high, a.exponent + b.exponent};
    if (high == 0) {
        result.exponent = 0;
    } else if (high < 0x80000000u) {
        result.mantissa = high << 1 | low >> 31;
        result.exponent--;
    }
    return result;
}

/* Long division: the quotient of two mantissas lies in (1/2, 2). */
nano_train_factor nano_train_over(nano_train_factor a, nano_train_factor b) {
    uint32_t rest = a.mantissa, quotient = 0, bits = 0;
    nano_train_factor result = {0, 0};
    if (rest == 0 || b.mantissa == 0)
        return result;
    result.exponent = a.exponent - b.exponent + 1;
    if (rest < b.mantissa)
        result.exponent--;
    else {
        quotient = 1;
        bits = 1;
        rest -= b.mantissa;
    }
    for (; bits < 32; bits++) {
        const int carry = rest >= 0x80000000u;
        rest <<= 1;
        quotient <<= 1;
        if (carry || rest >= b.mantissa) {
            rest -= b.mantissa;
            quotient |= 1u;
        }
    }
    result.mantissa = quotient;
    return result;
}

int nano_train_less(nano_train_factor a, nano_train_factor b) {
    if (a.mantissa == 0 || b.mantissa == 0)
        return b.mantissa != 0;
    return a.exponent != b.exponent ? a.exponent < b.exponent : a.mantissa < b.mantissa;
}

nano_train_factor nano_train_plus(nano_train_factor a, nano_train_factor b) {
    if (nano_train_less(a, b)) {
        const nano_train_factor swapped = a;
        a = b;
        b = swapped;
    }
    const int32_t distance = a.exponent - b.exponent;
    if (b.mantissa == 0 || distance > 31)
        return a;
    const uint32_t added = b.mantissa >> distance;
    a.mantissa += added;
    if (a.mantissa < added) { /* carry */
        a.mantissa = a.mantissa >> 1 | 0x80000000u;
        a.exponent++;
    }
    return a;
}

/* The root's mantissa r has r * r <= mantissa * 2^32, the exponent made even; bit by bit. */
nano_train_factor nano_train_root(nano_train_factor a) {
    nano_train_factor result = {0, 0};
    if (a.mantissa == 0)
        return result;
    const int odd = (a.exponent & 1) != 0;
    const uint32_t target = odd ? a.mantissa >> 1 : a.mantissa;
    result.exponent = (a.exponent + odd) / 2;
    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
        const uint32_t trial = result.mantissa | bit;
        uint32_t high, low;
        nano_wide_product(trial, trial, &high, &low);
        if (high < target || (high == target && low == 0))
            result.mantissa = trial;
    }
    return result;
}

/* magnitude * factor as whole part and fraction * 2^32; the whole part saturates. */
static uint32_t split(uint32_t magnitude, nano_train_factor factor, uint32_t *fraction) {
    uint32_t high, low;
    nano_wide_product(magnitude, factor.mantissa, &high, &low);
    const int32_t left = factor.exponent;
    *fraction = 0;
    if (left == 0) {
        *fraction = low;
        return high;
    }
    if (left > 0) {
        if ((high | low) == 0)
            return 0;
        if (left > 31 || high >> (31 - left) != 0)
            return INT32_MAX;
        *fraction = low << left;
        return high << left | low >> (32 - left);
    }
    const int32_t right = -left;
    if (right < 32) {
        *fraction = high << (32 - right) | low >> right;
        return high >> right;
    }
    if (right < 64)
        *fraction = high >> (right - 32);
    return 0;
}

int32_t nano_train_scale_to_nearest(int32_t value, nano_train_factor factor) {
    const uint32_t magnitude = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    uint32_t fraction;
    uint32_t whole = split(magnitude, factor, &fraction);
    if (whole >= (uint32_t)INT32_MAX)
        whole = (uint32_t)INT32_MAX;
    else
        whole += fraction >> 31;
    return value < 0 ? -(int32_t)whole : (int32_t)whole;
}

int32_t nano_train_add(int32_t a, int32_t b) {
    const int32_t limit = ((int32_t)1 << 30) - 1;
    const int32_t x = a < -limit ? -limit : a > limit ? limit : a;
    const int32_t y = b < -limit ? -limit : b > limit ? limit : b;
    const int32_t sum = x + y;
    return sum < -limit ? -limit : sum > limit ? limit : sum;
}

uint32_t nano_train_log2_ceiling(uint32_t count) {
    uint32_t bits = 0;
    while (bits < 31 && (uint32_t)1 << bits < count)
        bits++;
    return bits;
}

/* exp(-d) = 2^-(d log2 e) = 2^-n 2^-f; 2^-f = 2^-(1/2) exp(-g log 2), g = f - 1/2, Taylor. */
uint32_t nano_train_exp(uint32_t distance) {
    static const int32_t taylor[7] = {/* 2^30 2^-(1/2) (-log 2)^k / k! */
                                      759250125, -526272083, 182392005, -42141501,
                                      7302566,   -1012351,   116951};
    if (distance == 0)
        return (uint32_t)1 << 30; /* exactly, so that no sum lies below it */
    uint32_t high, low;
    nano_wide_product(distance, 1549082005u, &high, &low); /* log2 e, 2^-30 */
    const uint32_t n = high >> 14;
    const uint32_t f = high << 18 | low >> 14;
    if (n > 30)
        return 0;
    const int32_t g = (int32_t)(f >> 1) - ((int32_t)1 << 30);
    int32_t sum = taylor[6];
    for (int k = 5; k >= 0; k--)
        sum = nano_high_product(sum, g) + taylor[k];
    return (uint32_t)nano_rounding_shift_right(sum, (int)n);
}

/* log2 bit by bit: squaring a number of [1, 2) doubles its logarithm. */
int32_t nano_train_log(uint32_t value, uint32_t bits) {
    uint32_t logarithm = 31 - bits, m = value;
    if (value == 0)
        return 0;
    for (; m < 0x80000000u; m <<= 1)
        logarithm--;
    for (int i = 0; i < 24; i++) {
        uint32_t high, low;
        nano_wide_product(m, m, &high, &low);
        const uint32_t doubled = high >= 0x80000000u;
        logarithm = logarithm << 1 | doubled;
        m = doubled ? high : high << 1 | low >> 31;
    }
    uint32_t high, low;
    nano_wide_product(logarithm, 2977044472u, &high, &low); /* log 2, 2^-32 */
    return (int32_t)((high + 8u) >> 4);
}
