/* nano/ops/elementwise_mve.h - add, sub, mul and pools with the vectors of Armv8.1-M (MVE).
 *
 * Same results as their portable forms in elementwise.h and pool.h, where lowering proved it
 * (nanotool/lower/armv81m). Both operands run on along the last axis (stride 1). */
#ifndef NANO_OPS_ELEMENTWISE_MVE_H
#define NANO_OPS_ELEMENTWISE_MVE_H

#include "nano/ops/elementwise.h"
#include "nano/ops/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* add: with s = a * a_scale + b * b_scale + offset, less `below` where that is less than `zero`:
 * out = clamp(floor(s / 2^right)); sub has a negative b_scale. The sum stays within int32. */
typedef struct {
    nano_operands operands;
    int32_t a_scale, b_scale; /* 2^right * scale / scale(out) */
    int32_t offset;           /* 2^right * (rounding + zero points) */
    int32_t zero, below;      /* below: 0 where all sums are rounded alike */
    int16_t right;            /* 0..31 */
    int16_t min, max;         /* clamp, -128..127 */
} nano_add_mve_params;
void nano_add_mve(const void *params, const nano_io *io);

/* out = store(factor * (a - a_zero_point) * (b - b_zero_point)) */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    nano_factor factor; /* shift -31..-1 */
    nano_store store;
} nano_mul_mve_params;
void nano_mul_mve(const void *params, const nano_io *io);

/* nano_max_pool, and nano_average_pool of at most 1,023 taps; params: nano_pool_params */
void nano_max_pool_mve(const void *params, const nano_io *io);
void nano_average_pool_mve(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
