/* nano/ops/rows.h - functions of all elements along an axis. Order and overlap: ops.h. */
#ifndef NANO_OPS_ROWS_H
#define NANO_OPS_ROWS_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax over the last axis, TensorFlow Lite's integer formula; output scale 1/256, zero point
 * -128. */
typedef struct {
    uint32_t rows;
    uint32_t depth; /* elements of a row, 1..8191 (the sum of exponentials has 13 integer bits) */
    int32_t multiplier; /* Q31: beta * scale(in) * 2^26 = multiplier * 2^(left_shift - 31) */
    int16_t left_shift; /* 0..31 */
    int16_t diff_min;   /* inputs further below the row's maximum give 0; <= 0. Range -32768..0 */
} nano_softmax_params;
void nano_softmax(const void *params, const nano_io *io);
/* out: int16, scale 1/65536, zero point -32768 */
void nano_softmax_int16(const void *params, const nano_io *io);

/* Log-softmax over the last axis, TensorFlow Lite's integer formula; output scale 1/16, zero point
 * 127. */
typedef struct {
    nano_softmax_params row; /* as for softmax with beta 1, but depth 1..4095 (the sum is signed) */
    nano_factor reverse; /* 2^(31 - left_shift) / multiplier: 1 / (scale(in) * 2^26); shift <= 0 */
} nano_log_softmax_params;
void nano_log_softmax(const void *params, const nano_io *io);

/* out[o, i] = the first k for which in[o, k, i] is the largest; out: int32. */
typedef struct {
    uint32_t outer; /* product of the axes before the one that is searched */
    uint32_t count; /* elements along it */
    uint32_t inner; /* product of the axes behind it */
} nano_argmax_params;
void nano_argmax(const void *params, const nano_io *io);

/* out[o, k, i] = start and the sum of in[o, j, i] over j <= k. Byte n of the output needs input
 * byte n; a reverse sum reads all count x inner elements of its slab before it writes any of them.
 */
typedef struct {
    uint32_t outer; /* product of the axes before the one that is summed along */
    uint32_t count; /* elements along it: no sum of theirs, shifted left, leaves int32 */
    uint32_t inner; /* product of the axes behind it; as many int32 of scratch */
    int16_t in_zero_point;
    int16_t start;      /* in steps of the input's scale, -128..128 */
    uint8_t left;       /* bits that a sum is shifted to the left, 0..19 */
    uint8_t exclusive;  /* 1: j < k */
    uint8_t reverse;    /* 1: j >= k, or j > k */
    nano_factor factor; /* scale(in) / (2^left * scale(out)) */
    nano_store store;
} nano_cumsum_params;
void nano_cumsum(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
