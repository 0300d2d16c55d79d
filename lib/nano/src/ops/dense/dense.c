/* out[r, o] = requantize(bias[o] + sum_i in[r, i] * w[o, i])
 * in: rows, I int8; w: O, I int8; the input's zero point is folded into the bias. */
#include "nano/ops.h"

#include "nano/requant.h"

static int32_t dot(const int8_t *a, const int8_t *b, uint32_t n) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void nano_dense(const void *params, const nano_io *io) {
    const nano_dense_params *const p = (const nano_dense_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++) {
        const int8_t *w = p->weights;
        for (uint32_t o = 0; o < p->out_features; o++) {
            const int32_t acc = p->bias[o] + dot(in, w, p->in_features);
            *out++ = nano_requantize(acc, &p->requant, o);
            w += p->in_features;
        }
        in += p->in_features;
    }
}
