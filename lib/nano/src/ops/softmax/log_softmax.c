/* out[d] = 16 * (scale * (in[d] - max) - log sum_e exp(scale * (in[e] - max))) + 127
 * in, out: rows, depth int8. Row by row in TensorFlow Lite's fixed point. Qn as in
 * exponentials.h. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "exponentials.h"

/* The bits of x > 0 above its highest set one. */
static int leading_zeros(int32_t x) {
    int n = 0;
    for (uint32_t bits = (uint32_t)x; bits < 0x80000000u; bits <<= 1)
        n++;
    return n;
}

/* log(r * 2^(1/4)), Q6, for r in [1/sqrt(2), 1), Q0: a quotient of polynomials in
 * q = 2 * (r - 2^(-1/4)). */
static int32_t log_near_one(int32_t r) {
    const int32_t middle = 1805811301;  /* 2^(-1/4), Q0 */
    const int32_t alpha_n = 117049297;  /* 11/240 * 2^(1/4), Q0 */
    const int32_t alpha_d = 127690142;  /* 1/20 * 2^(1/4), Q0 */
    const int32_t alpha_i = 1057819769; /* 2 * 2^(-1/4) - 2^(1/4), Q0 */
    const int32_t alpha_f = 638450708;  /* 1/4 * 2^(1/4), Q0 */
    const int32_t p = (int32_t)(((uint32_t)r + (uint32_t)middle + 1) >> 1); /* their mean */
    const int32_t q = 2 * (r - middle);
    const int32_t q2 = nano_high_product(q, q);
    const int32_t numerator =
        nano_high_product(q, r) + nano_high_product(nano_high_product(q, q2), alpha_n);
    const int32_t bracket = alpha_i + q + nano_high_product(alpha_d, q2);
    const int32_t denominator_less_one =
        nano_high_product(p, bracket) + nano_high_product(alpha_f, q);
    return nano_high_product(nano_rounding_shift_right(numerator, 6),
                             nano_one_over_one_plus(denominator_less_one));
}

/* log(z), Q5, for z >= 1, Q12: z = r * 2^(1/4) * 2^power with r in [1/sqrt(2), 1), by the better of
 * two ways to find the power. */
static int32_t log_of(int32_t z) {
    const int32_t log_2 = 1488522236;               /* log(2), Q0 */
    const int32_t sqrt_half = 1518500250;           /* sqrt(1/2), Q0 */
    const int32_t one = 1 << 25, quarter = 1 << 23; /* Q6 */
    const int headroom_a = leading_zeros(z);
    const int32_t half_a = nano_high_product(z << (headroom_a - 1), sqrt_half);
    const int32_t r_a = nano_saturating_shift_left(half_a, 1);
    const int32_t power_a = (12 - headroom_a) * one + quarter;
    const int headroom_b = leading_zeros(nano_high_product(z, sqrt_half)) - 1;
    const int32_t r_b = nano_saturating_shift_left(z, headroom_b);
    const int32_t power_b = (12 - headroom_b) * one - quarter;
    const int32_t r = r_a < r_b ? r_a : r_b;
    const int32_t power = power_a > power_b ? power_a : power_b;
    return nano_saturating_shift_left(nano_high_product(power, log_2) + log_near_one(r), 1);
}

static void log_softmax_row(const nano_log_softmax_params *p, const int8_t *in, int8_t *out) {
    const nano_softmax_params *const row = &p->row;
    const int32_t max = nano_row_max(in, row->depth);
    const int32_t log_sum = log_of((int32_t)nano_row_sum(row, in, max)); /* Q5 */
    /* below: the difference less log_sum would leave Q5 */
    const int32_t lowest = nano_multiply(log_sum + INT32_MIN, &p->reverse);
    const int32_t least = lowest > row->diff_min - 1 ? lowest : row->diff_min - 1;
    for (uint32_t d = 0; d < row->depth; d++) {
        const int32_t difference = in[d] - max;
        int32_t q = -128;
        if (difference > least) {
            const int32_t log = nano_scaled_difference(row, difference) - log_sum;
            q = nano_rounding_shift_right(log, 31 - 5 - 4) + 127; /* Q5 to units of 1/16 */
        }
        out[d] = nano_clamp(q, -128, 127);
    }
}

void nano_log_softmax(const void *params, const nano_io *io) {
    const nano_log_softmax_params *const p = (const nano_log_softmax_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t r = 0; r < p->row.rows; r++) {
        log_softmax_row(p, in, out);
        in += p->row.depth;
        out += p->row.depth;
    }
}
