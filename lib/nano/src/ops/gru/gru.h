/* gru.h - what the variants of nano_gru share (internal): a unit's step after its sums. */
#ifndef NANO_GRU_H
#define NANO_GRU_H

#include "../../recur.h"

#define NANO_GRU_GATES 3

static inline int8_t nano_gru_unit(const void *params, const int32_t *of_x, const int32_t *of_h,
                                   int16_t *wide, uint32_t u) {
    const nano_gru_params *const p = (const nano_gru_params *)params;
    const int32_t r = nano_sigmoid_of_thirds(3 * nano_argument(of_x, of_h, 0));
    const int32_t z = nano_sigmoid_of_thirds(3 * nano_argument(of_x, of_h, 1));
    const int32_t reset = (r * of_h[2] + (1 << 14)) >> 15;
    const int32_t tanh = nano_tanh_of_thirds(3 * nano_saturate_int16(of_x[2] + reset));
    const int32_t n = (tanh + ((1 << p->shift) >> 1)) >> p->shift;
    const int32_t h = n + ((z * (wide[u] - n) + (1 << 14)) >> 15); /* below 2^31: z < 2^15 */
    wide[u] = (int16_t)h;
    return nano_hidden(&p->gates, h);
}

/* h in int8 before the first step. */
static inline void nano_gru_first(const nano_gates *g, const int16_t *wide, int8_t *h) {
    for (uint32_t u = 0; u < g->units; u++)
        h[u] = nano_hidden(g, wide[u]);
}

/* The layer, with its sums. */
NANO_RECUR_INLINE void nano_gru_with(const void *params, const nano_io *io, nano_sums sums,
                                     nano_scaling scale) {
    const nano_gates *const g = &((const nano_gru_params *)params)->gates;
    int16_t *const wide = nano_first_state(g, io);
    nano_gru_first(g, wide, (int8_t *)io->scratch);
    nano_recur(params, g, io, NANO_GRU_GATES, sums, scale, nano_gru_unit, wide);
}

#endif
