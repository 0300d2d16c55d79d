/* lstm.h - what the variants of nano_lstm share (internal): a unit's step after its sums. */
#ifndef NANO_LSTM_H
#define NANO_LSTM_H

#include "../../recur.h"

#define NANO_LSTM_GATES 4

static inline int8_t nano_lstm_unit(const void *params, const int32_t *of_x, const int32_t *of_h,
                                    int16_t *cell, uint32_t u) {
    const nano_lstm_params *const p = (const nano_lstm_params *)params;
    const int32_t i = nano_sigmoid_of_thirds(3 * nano_argument(of_x, of_h, 0));
    const int32_t f = nano_sigmoid_of_thirds(3 * nano_argument(of_x, of_h, 1));
    const int32_t g = nano_tanh_of_thirds(3 * nano_argument(of_x, of_h, 2));
    const int32_t o = nano_sigmoid_of_thirds(3 * nano_argument(of_x, of_h, 3));
    /* f * c / 2^15 rounds twice, as a factor of 2^30 / 2^31 and a shift of 14 do */
    const int32_t kept = nano_rounding_shift_right((f * cell[u] + 1) >> 1, 14);
    const int32_t written = nano_saturate_int16(nano_multiply(i * g, &p->write));
    const int32_t sum = nano_saturate_int16(kept) + written;
    const int32_t c = sum < p->cell_min ? p->cell_min : sum > p->cell_max ? p->cell_max : sum;
    cell[u] = (int16_t)c;
    return nano_hidden(&p->gates, o * nano_tanh_of_thirds(nano_shifted_thirds(c, p->cell_shift)));
}

/* The layer, with its sums. */
NANO_RECUR_INLINE void nano_lstm_with(const void *params, const nano_io *io, nano_sums sums,
                                      nano_scaling scale) {
    const nano_gates *const g = &((const nano_lstm_params *)params)->gates;
    nano_first_hidden(g, io, (int8_t *)io->scratch);
    nano_recur(params, g, io, NANO_LSTM_GATES, sums, scale, nano_lstm_unit,
               nano_first_state(g, io));
}

#endif
