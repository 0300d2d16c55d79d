/* lstm.h - what the variants of nano_lstm share (internal): a unit's step after its sums. */
#ifndef NANO_LSTM_H
#define NANO_LSTM_H

#include "nano/ops.h"

#include "../../gates.h"
#include "../../requant.h"

#define NANO_LSTM_SUMS 8 /* of each gate that over x and that over h */

/* A gate's argument, 12 bits behind the point. */
static inline int32_t nano_lstm_argument(const nano_lstm_params *p, const int32_t *sums,
                                         uint32_t gate) {
    int32_t total = 0;
    for (uint32_t k = 2 * gate; k < 2 * gate + 2; k++)
        total += nano_saturate_int16(nano_scale(sums[k], p->multiplier[k], p->shift[k]));
    return nano_saturate_int16(total);
}

/* c and h of one unit after a step: c is updated, h returned. */
static inline int8_t nano_lstm_unit(const nano_lstm_params *p, const int32_t *sums, int16_t *cell) {
    const int32_t i = nano_sigmoid_of_thirds(3 * nano_lstm_argument(p, sums, 0));
    const int32_t f = nano_sigmoid_of_thirds(3 * nano_lstm_argument(p, sums, 1));
    const int32_t g = nano_tanh_of_thirds(3 * nano_lstm_argument(p, sums, 2));
    const int32_t o = nano_sigmoid_of_thirds(3 * nano_lstm_argument(p, sums, 3));
    /* f * c / 2^15 rounds twice, as a factor of 2^30 / 2^31 and a shift of 14 do */
    const int32_t kept = nano_rounding_shift_right((f * *cell + 1) >> 1, 14);
    const int32_t written = nano_saturate_int16(nano_multiply(i * g, &p->write));
    const int32_t sum = nano_saturate_int16(kept) + written;
    const int32_t c = sum < p->cell_min ? p->cell_min : sum > p->cell_max ? p->cell_max : sum;
    const int32_t squashed = nano_tanh_of_thirds(nano_shifted_thirds(c, p->cell_shift));
    *cell = (int16_t)c;
    return nano_store_result(nano_multiply(o * squashed, &p->hidden), &p->store);
}

#endif
