/* exponentials.h - what softmax and log-softmax share (internal).
 *
 * Qn: a signed number of n integer and 31-n fractional bits in an int32. */
#ifndef NANO_EXPONENTIALS_H
#define NANO_EXPONENTIALS_H

#include <stdint.h>

#include "nano/ops.h"

/* x * 2^exponent, saturating as gemmlowp does: beyond +-(2^(31-exponent) - 1). */
int32_t nano_saturating_shift_left(int32_t x, int exponent);

/* 1 / (1 + a), Q0, for a in [0, 1), Q0: three Newton-Raphson steps toward x = 1 / half, where
 * half = (1 + a) / 2, from the line 48/17 - 32/17 * half. */
int32_t nano_one_over_one_plus(int32_t a);

/* The largest of a row. */
int32_t nano_row_max(const int8_t *in, uint32_t depth);

/* beta * scale * difference, Q5, for a difference from the row's maximum, diff_min <= . <= 0. */
int32_t nano_scaled_difference(const nano_softmax_params *p, int32_t difference);

/* exp(beta * scale * difference), Q0. */
int32_t nano_exp_difference(const nano_softmax_params *p, int32_t difference);

/* The sum of the row's exponentials, Q12. Unsigned: full at depth 8192. */
uint32_t nano_row_sum(const nano_softmax_params *p, const int8_t *in, int32_t max);

#endif
