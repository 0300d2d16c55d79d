/* out[k0,k1] = clamp(the largest, or smallest, in[k0*ks0 + k1*ks1 + r0*rs0 + r1*rs1] over r0, r1)
 */
#include "nano/ops.h"

#include "nano/requant.h"

/* The largest of sign * in over n[0] times n[1] elements, step[0] and step[1] apart. */
static int32_t most(const int8_t *in, int32_t sign, const uint32_t n[2], const uint32_t step[2]) {
    int32_t best = sign * in[0];
    for (uint32_t i = 0; i < n[0]; i++, in += step[0]) {
        const int8_t *at = in;
        for (uint32_t j = 0; j < n[1]; j++, at += step[1])
            if (sign * *at > best)
                best = sign * *at;
    }
    return best;
}

static void reduce(const void *params, const nano_io *io, int32_t sign) {
    const nano_reduce_params *const p = (const nano_reduce_params *)params;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t i = 0; i < p->kept[0]; i++) {
        const int8_t *in = (const int8_t *)io->in[0] + i * p->kept_stride[0];
        for (uint32_t j = 0; j < p->kept[1]; j++, in += p->kept_stride[1])
            *out++ =
                nano_clamp(sign * most(in, sign, p->reduced, p->reduced_stride), p->min, p->max);
    }
}

void nano_reduce_max(const void *params, const nano_io *io) {
    reduce(params, io, 1);
}

void nano_reduce_min(const void *params, const nano_io *io) {
    reduce(params, io, -1);
}
