/* out[r, o] = requantize(bias[o] + sum_i in[r, i] * w[o, i]); in: rows, I int16; w: O, I int8. */
#include "nano/ops.h"

#include "../../requant_int16.h"

void nano_dense_int16(const void *params, const nano_io *io) {
    const nano_dense_int16_params *const p = (const nano_dense_int16_params *)params;
    const int16_t *in = (const int16_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++) {
        const int8_t *w = p->weights;
        for (uint32_t o = 0; o < p->out_features; o++) {
            const int64_t acc = p->bias[o] + nano_dot_int16(in, w, p->in_features);
            *out++ = nano_requantize_int16(acc, &p->requant, o);
            w += p->in_features;
        }
        in += p->in_features;
    }
}
