/* out[d] = 256 * exp(beta * scale * (in[d] - max)) / sum_e exp(beta * scale * (in[e] - max)) - 128
 * in, out: rows, depth int8. Row by row in TensorFlow Lite's fixed point. */
#include "nano/ops.h"

#include "../../requant.h"
#include "exponentials.h"

static void softmax_row(const nano_softmax_params *p, const int8_t *in, int8_t *out) {
    const int32_t max = nano_row_max(in, p->depth);
    uint32_t sum = nano_row_sum(p, in, max); /* >= 1.0 */
    int exponent = 12 + 31 - 8; /* so that sum = (1 + a) * 2^(exponent - 23), a in [0, 1) */
    for (; sum < 0x80000000u; sum <<= 1)
        exponent--;
    const int32_t reciprocal = nano_one_over_one_plus((int32_t)(sum - 0x80000000u));
    for (uint32_t d = 0; d < p->depth; d++) {
        const int32_t difference = in[d] - max;
        int32_t q = 0;
        if (difference >= p->diff_min && exponent <= 31) /* beyond, all round to 0 */
            q = nano_rounding_shift_right(
                nano_high_product(reciprocal, nano_exp_difference(p, difference)), exponent);
        out[d] = (int8_t)(q > 255 ? 127 : q - 128);
    }
}

void nano_softmax(const void *params, const nano_io *io) {
    const nano_softmax_params *const p = (const nano_softmax_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++) {
        softmax_row(p, in, out);
        in += p->depth;
        out += p->depth;
    }
}
