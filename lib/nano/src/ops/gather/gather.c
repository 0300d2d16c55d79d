/* out[o, k, i] = in[o, indices[k], i] */
#include "nano/ops.h"

void nano_gather(const void *params, const nano_io *io) {
    const nano_gather_params *const p = (const nano_gather_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t o = 0; o < p->outer; o++, in += p->in_count * p->inner)
        for (uint32_t k = 0; k < p->count; k++) {
            const int8_t *const from = in + p->indices[k] * p->inner;
            for (uint32_t i = 0; i < p->inner; i++)
                *out++ = from[i];
        }
}
