/* rnn.h - what the variants of nano_rnn share (internal): a unit's step after its sums. */
#ifndef NANO_RNN_H
#define NANO_RNN_H

#include "../../recur.h"

#define NANO_RNN_GATES 1

static inline int8_t nano_rnn_unit(const void *params, const int32_t *of_x, const int32_t *of_h,
                                   int16_t *state, uint32_t u) {
    const nano_rnn_params *const p = (const nano_rnn_params *)params;
    const int32_t a = nano_argument(of_x, of_h, 0);
    (void)state;
    (void)u;
    if (p->relu)
        return nano_hidden(&p->gates, a > 0 ? a : 0);
    return nano_hidden(&p->gates, nano_tanh_of_thirds(3 * a));
}

/* The layer, with its sums. */
NANO_RECUR_INLINE void nano_rnn_with(const void *params, const nano_io *io, nano_sums sums,
                                     nano_scaling scale) {
    const nano_gates *const g = &((const nano_rnn_params *)params)->gates;
    nano_first_hidden(g, io, (int8_t *)io->scratch);
    nano_recur(params, g, io, NANO_RNN_GATES, sums, scale, nano_rnn_unit, NULL);
}

#endif
