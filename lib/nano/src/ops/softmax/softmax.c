/* out[d] = 256 * exp(beta * scale * (in[d] - max)) / sum_e exp(beta * scale * (in[e] - max)) - 128
 * in: rows, depth int8; out: the same, or int16 with 65536 for 256. Row by row in TensorFlow Lite's
 * fixed point. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "exponentials.h"

/* One row; out: int8 or int16, `bits` of them. */
static void softmax_row(const nano_softmax_params *p, const int8_t *in, void *out, int bits) {
    const int32_t max = nano_row_max(in, p->depth);
    uint32_t sum = nano_row_sum(p, in, max); /* >= 1.0 */
    const int32_t low = -(1 << (bits - 1)), most = (1 << bits) - 1;
    int exponent = 12 + 31 - bits; /* so that sum = (1 + a) * 2^(exponent - 23), a in [0, 1) */
    for (; sum < 0x80000000u; sum <<= 1)
        exponent--;
    const int32_t reciprocal = nano_one_over_one_plus((int32_t)(sum - 0x80000000u));
    for (uint32_t d = 0; d < p->depth; d++) {
        const int32_t difference = in[d] - max;
        int32_t q = 0;
        if (difference >= p->diff_min && exponent <= 31) /* beyond, all round to 0 */
            q = nano_rounding_shift_right(
                nano_high_product(reciprocal, nano_exp_difference(p, difference)), exponent);
        q = low + (q > most ? most : q);
        if (bits == 8)
            ((int8_t *)out)[d] = (int8_t)q;
        else
            ((int16_t *)out)[d] = (int16_t)q;
    }
}

void nano_softmax(const void *params, const nano_io *io) {
    const nano_softmax_params *const p = (const nano_softmax_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++) {
        softmax_row(p, in, out, 8);
        in += p->depth;
        out += p->depth;
    }
}

void nano_softmax_int16(const void *params, const nano_io *io) {
    const nano_softmax_params *const p = (const nano_softmax_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++) {
        softmax_row(p, in, out, 16);
        in += p->depth;
        out += p->depth;
    }
}
