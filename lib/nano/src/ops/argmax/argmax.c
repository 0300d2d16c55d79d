/* out[o, i] = the first k for which in[o, k, i] is the largest; in: int8, out: int32. */
#include "nano/ops.h"

/* The place of the first largest of `count` elements, `step` apart. */
static uint32_t first_largest(const int8_t *in, uint32_t step, uint32_t count) {
    uint32_t best = 0;
    int8_t largest = in[0];
    for (uint32_t k = 1; k < count; k++) {
        in += step;
        if (*in > largest) {
            largest = *in;
            best = k;
        }
    }
    return best;
}

void nano_argmax(const void *params, const nano_io *io) {
    const nano_argmax_params *const p = (const nano_argmax_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int32_t *out = (int32_t *)io->out;
    for (uint32_t o = 0; o < p->outer; o++) {
        for (uint32_t i = 0; i < p->inner; i++)
            *out++ = (int32_t)first_largest(in + i, p->inner, p->count);
        in += p->count * p->inner;
    }
}
