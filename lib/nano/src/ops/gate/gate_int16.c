/* out[i] = sigmoid(t), tanh(t), t = round(in[i] * multiplier / 2^shift) in units of 1 / (3 * 2^12),
 * halves up; in, out: int16. */
#include "nano/ops.h"

#include "../../gates.h"
#include "../../requant_int16.h"

static void gate(const nano_gate_int16_params *p, const nano_io *io, int32_t (*of)(int32_t)) {
    const int16_t *const in = (const int16_t *)io->in[0];
    int16_t *const out = (int16_t *)io->out;
    const int32_t half = (int32_t)(((uint32_t)1 << p->shift) >> 1); /* 2^30 at most, as a product */
    for (uint32_t i = 0; i < p->size; i++) {
        const int32_t t = (in[i] * p->multiplier + half) >> p->shift;
        out[i] = nano_clamp_int16(of(t), p->min, p->max);
    }
}

void nano_sigmoid_int16(const void *params, const nano_io *io) {
    gate((const nano_gate_int16_params *)params, io, nano_sigmoid_of_thirds);
}

void nano_tanh_int16(const void *params, const nano_io *io) {
    gate((const nano_gate_int16_params *)params, io, nano_tanh_of_thirds);
}
