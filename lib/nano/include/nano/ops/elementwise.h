/* nano/ops/elementwise.h - functions of one or two elements. Order and overlap: ops.h. */
#ifndef NANO_OPS_ELEMENTWISE_H
#define NANO_OPS_ELEMENTWISE_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[i] = table[in[i] + 128]: any unary function. */
typedef struct {
    const int8_t *table; /* [256], first entry for -128 */
    uint32_t size;       /* elements */
} nano_table_params;
void nano_table(const void *params, const nano_io *io);

/* The operands a and b of a binary kernel, and how they stretch over the output: element
 * [i0, i1, i2, i3] is f(a[sum i*stride_a], b[sum i*stride_b]); a stride of 0 stretches. The last
 * axis is the inner loop: merge axes at lowering to make it long (equal shapes are one axis). */
typedef struct {
    const int8_t *a, *b;  /* an operand in flash, or NULL: the next of io->in. Not both in flash */
    uint32_t shape[4];    /* of the output, outermost first; unused leading ones are 1 */
    uint32_t stride_a[4]; /* elements; 0 for unused axes */
    uint32_t stride_b[4];
} nano_operands;

/* add: out = store(out_factor * (a_factor * (a - a_zero_point) * 2^20
 *                               + b_factor * (b - b_zero_point) * 2^20)); sub: likewise, a less b.
 * Each factor rounds its product to an integer. */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    nano_factor a_factor, b_factor; /* scale / (2 * the larger scale): <= 1/2, shift <= 0 */
    nano_factor out_factor;         /* 2 * the larger scale / scale(out) / 2^20: shift <= 0 */
    nano_store store;
} nano_add_params;
void nano_add(const void *params, const nano_io *io);
void nano_sub(const void *params, const nano_io *io);

/* out = store(out_factor * (a_factor * (a - a_zero_point) * 2^7
 *                           - b_factor * (b - b_zero_point) * 2^7)^2), with nano_add_params whose
 * out_factor is (2 * the larger scale)^2 / scale(out) / 2^14: shift <= 0. */
void nano_squared_difference(const void *params, const nano_io *io);

/* out = answers[1 + sign(a_factor * (a - a_zero_point) * 2^8 - b_factor * (b - b_zero_point) *
 * 2^8)] */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    nano_factor a_factor, b_factor; /* scale(a), scale(b): shift <= 0 */
    int8_t answers[3];              /* where a is less, where they are equal, where a is greater */
} nano_compare_params;
void nano_compare(const void *params, const nano_io *io);

/* out = store(factor * (a - a_zero_point) * (b - b_zero_point)) */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    nano_factor factor; /* scale(a) * scale(b) / scale(out) */
    nano_store store;
} nano_mul_params;
void nano_mul(const void *params, const nano_io *io);

/* out = store(factor * (a - a_zero_point) / (b - b_zero_point)); a divisor of 0 counts as 1. */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    nano_factor factor; /* scale(a) / (scale(b) * scale(out)); shift <= 23 */
    nano_store store;
} nano_div_params;
void nano_div(const void *params, const nano_io *io);

/* add, sub and mul with the DSP instructions of Armv7E-M, where lowering proved that they give the
 * same bytes (nanotool/lower/sums.py, armv7em/elementwise.py) and both operands run on along the
 * last axis (stride 1).
 * add: with s = floor(a * a_scale / 2^8) + floor(b * b_scale / 2^8) + offset, less `below` where
 * that is less than `zero`: out = clamp(s / 2^20, rounded down); sub has a negative b_scale. The
 * sum stays within int32. */
typedef struct {
    nano_operands operands;
    int32_t a_scale, b_scale; /* 2^28 * scale / scale(out) */
    int32_t offset;           /* 2^20 * (rounding + zero points) */
    int32_t zero, below;      /* below: 0 where all sums are rounded alike */
    int16_t min, max;         /* clamp, -128..127 */
} nano_add_dsp_params;
void nano_add_dsp(const void *params, const nano_io *io);

/* out = store(scale * (a - a_zero_point) * (b - b_zero_point)) */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    int32_t scale[2]; /* {e - 1, multiplier}, e a right shift of at least 1 (linear_dsp.h) */
    nano_store store;
} nano_mul_dsp_params;
void nano_mul_dsp(const void *params, const nano_io *io);

/* add, sub and mul for 32-bit cores without SIMD instructions, where lowering proved that they give
 * the same bytes (nanotool/lower/scalar/elementwise.py).
 * add: with s = a * a_scale + b * b_scale + offset, less `below` where that is less than `zero`:
 * out = clamp(floor(s / 2^right)); sub has a negative b_scale. Nothing leaves int32, and
 * min <= zero_point(out) <= max. */
typedef struct {
    nano_operands operands;
    int32_t a_scale, b_scale; /* 2^right * scale / scale(out) */
    int32_t offset;           /* 2^right * (rounding + zero points) */
    int32_t zero, below;      /* below: 0 where all sums are rounded alike */
    int16_t right;            /* 0..31 */
    int16_t min, max;         /* clamp, -128..127 */
} nano_add_scalar_params;
void nano_add_scalar(const void *params, const nano_io *io);

/* With p = (a - a_zero_point) * (b - b_zero_point), s = floor(p * factor / 2^12) + round, less
 * `below` where p < 0: out = clamp(floor(s / 2^shift)); min <= zero_point(out) <= max. */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    int32_t factor; /* 2^12 * 2^shift * scale(a) * scale(b) / scale(out), below 2^26 */
    int32_t round;  /* 2^shift * (rounding + zero point) */
    int32_t below;
    int16_t shift;    /* 0..31 */
    int16_t min, max; /* clamp, -128..127 */
} nano_mul_scalar_params;
void nano_mul_scalar(const void *params, const nano_io *io);

/* out = clamp(max(a, b)), clamp(min(a, b)); all three share scale and zero point. */
typedef struct {
    nano_operands operands;
    int16_t min, max; /* clamp, -128..127 */
} nano_extremum_params;
void nano_maximum(const void *params, const nano_io *io);
void nano_minimum(const void *params, const nano_io *io);

/* a is the input, b its slopes (one a channel, or any that broadcast). With d = a - a_zero_point:
 * out = store(positive * d) if d >= 0, else store(negative * (d * (b - b_zero_point))). */
typedef struct {
    nano_operands operands;
    int16_t a_zero_point, b_zero_point;
    nano_factor positive; /* scale(a) / scale(out) */
    nano_factor negative; /* scale(a) * scale(b) / scale(out) */
    nano_store store;
} nano_prelu_params;
void nano_prelu(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
