/* exponentials.c - what softmax and log-softmax share, in TensorFlow Lite's fixed point, after
 * gemmlowp's formulas. */
#include "exponentials.h"

#include "nano/requant.h"

int32_t nano_saturating_shift_left(int32_t x, int exponent) {
    const int32_t limit = (int32_t)(((uint32_t)1 << (31 - exponent)) - 1);
    if (x > limit)
        return INT32_MAX;
    return x < -limit ? INT32_MIN : (int32_t)((uint32_t)x << exponent);
}

/* exp(a), Q0, for a in [-1/4, 0), Q0: the Taylor polynomial of degree 4 about -1/8. */
static int32_t exp_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668; /* exp(-1/8), Q0 */
    const int32_t third = 715827883;             /* 1/3, Q0 */
    const int32_t x = a + (1 << 28);             /* a + 1/8 */
    const int32_t x2 = nano_high_product(x, x);
    const int32_t x3 = nano_high_product(x2, x);
    const int32_t x4 = nano_high_product(x2, x2);
    /* x^4/24 + x^3/6 + x^2/2 = ((x^4/4 + x^3) / 3 + x^2) / 2 */
    const int32_t inner = nano_high_product(nano_rounding_shift_right(x4, 2) + x3, third) + x2;
    const int32_t polynomial = x + nano_rounding_shift_right(inner, 1);
    return exp_minus_eighth + nano_high_product(exp_minus_eighth, polynomial);
}

/* exp(a), Q0, for a <= 0, Q5: a = quarter - sum of powers of two from 1/4 to 16, quarter in
 * [-1/4, 0); so exp(a) = exp(quarter) * product of exp(-power). */
static int32_t exp_negative(int32_t a) {
    static const int32_t exp_minus_power[7] = {
        1672461947, /* exp(-1/4), Q0 */
        1302514674, /* exp(-1/2) */
        790015084,  /* exp(-1) */
        290630308,  /* exp(-2) */
        39332535,   /* exp(-4) */
        720401,     /* exp(-8) */
        242,        /* exp(-16) */
    };
    const int32_t one_quarter = 1 << 24; /* Q5 */
    if (a == 0)
        return INT32_MAX; /* the nearest to 1 */
    const int32_t quarter = (a & (one_quarter - 1)) - one_quarter;
    const uint32_t powers = (uint32_t)quarter - (uint32_t)a;
    int32_t result = exp_quarter(quarter * 32); /* Q5 to Q0 */
    for (int i = 0; i < 7; i++) {
        if (powers & ((uint32_t)one_quarter << i))
            result = nano_high_product(result, exp_minus_power[i]);
    }
    return result;
}

int32_t nano_one_over_one_plus(int32_t a) {
    const int32_t one = 1 << 29;                                      /* Q2 */
    const int32_t line_constant = 1515870810;                         /* 48/17, Q2 */
    const int32_t line_slope = -1010580540;                           /* -32/17, Q2 */
    const int32_t half = (int32_t)(((uint32_t)a + 0x80000000u) >> 1); /* Q0, rounded */
    int32_t x = line_constant + nano_high_product(half, line_slope);  /* Q2 */
    for (int i = 0; i < 3; i++) {
        const int32_t error = one - nano_high_product(half, x);
        x += nano_saturating_shift_left(nano_high_product(x, error), 2); /* Q4 to Q2 */
    }
    return nano_saturating_shift_left(x, 1); /* x / 2 is the same bits in Q1; Q1 to Q0 */
}

int32_t nano_row_max(const int8_t *in, uint32_t depth) {
    int32_t max = in[0];
    for (uint32_t d = 1; d < depth; d++)
        max = in[d] > max ? in[d] : max;
    return max;
}

int32_t nano_scaled_difference(const nano_softmax_params *p, int32_t difference) {
    const int32_t shifted = (int32_t)((uint32_t)difference << p->left_shift);
    return nano_high_product(shifted, p->multiplier);
}

int32_t nano_exp_difference(const nano_softmax_params *p, int32_t difference) {
    return exp_negative(nano_scaled_difference(p, difference));
}

uint32_t nano_row_sum(const nano_softmax_params *p, const int8_t *in, int32_t max) {
    uint32_t sum = 0;
    for (uint32_t d = 0; d < p->depth; d++) {
        const int32_t difference = in[d] - max;
        if (difference >= p->diff_min)
            sum += (uint32_t)nano_rounding_shift_right(nano_exp_difference(p, difference), 12);
    }
    return sum;
}
