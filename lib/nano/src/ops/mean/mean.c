/* out[k0,k1] = store(scale(offset + sum_{r0,r1} in[k0*ks0 + k1*ks1 + r0*rs0 + r1*rs1])) */
#include "nano/ops.h"

#include "nano/requant.h"

/* The sum of n[0] times n[1] elements, step[0] and step[1] apart. */
static int32_t total(const int8_t *in, const uint32_t n[2], const uint32_t step[2]) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < n[0]; i++, in += step[0]) {
        const int8_t *at = in;
        for (uint32_t j = 0; j < n[1]; j++, at += step[1])
            sum += *at;
    }
    return sum;
}

void nano_mean(const void *params, const nano_io *io) {
    const nano_mean_params *const p = (const nano_mean_params *)params;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t i = 0; i < p->kept[0]; i++) {
        const int8_t *in = (const int8_t *)io->in[0] + i * p->kept_stride[0];
        for (uint32_t j = 0; j < p->kept[1]; j++, in += p->kept_stride[1]) {
            const int32_t sum = p->offset + total(in, p->reduced, p->reduced_stride);
            *out++ = nano_store_result(nano_multiply(sum, &p->scale), &p->store);
        }
    }
}
