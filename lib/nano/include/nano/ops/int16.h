/* nano/ops/int16.h - kernels on activations in int16: TensorFlow Lite's 16x8 scheme, weights int8.
 * Zero points are 0. Order and overlap: ops.h, elements for bytes. */
#ifndef NANO_OPS_INT16_H
#define NANO_OPS_INT16_H

#include "nano/ops/move.h"
#include "nano/ops/pool.h"
#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a sum becomes an int16 output: q = clamp(round(acc * multiplier / 2^(15 - shift)), min, max),
 * halves up, the quotient modulo 2^32. |acc| < 2^47. */
typedef struct {
    const int16_t *multiplier; /* Q15, each in [2^14, 2^15) or 0 */
    const int8_t *shift;       /* each in [-31, 7]; positive shifts left */
    uint16_t per_channel;      /* 1: one multiplier and shift a channel; 0: one for all */
    int16_t min, max;          /* clamp: a fused ReLU, ReLU6, ... or the int16 range */
} nano_requant_int16;

/* As nano_dense. */
typedef struct {
    const int8_t *weights; /* [out_features][in_features] */
    const int64_t *bias;   /* [out_features] */
    nano_requant_int16 requant;
    uint16_t rows; /* independent input rows; 1 for a vector */
    uint32_t in_features;
    uint16_t out_features;
} nano_dense_int16_params;
void nano_dense_int16(const void *params, const nano_io *io);

/* As nano_conv2d; with as many groups as input channels as nano_depthwise_conv2d. */
typedef struct {
    const int8_t *weights; /* [out_c][kernel_h][kernel_w][in_c / groups] */
    const int64_t *bias;   /* [out_c] */
    nano_requant_int16 requant;
    nano_window window;
    uint16_t groups; /* divides in_c and out_c; 1 for an ordinary convolution */
} nano_conv2d_int16_params;
void nano_conv2d_int16(const void *params, const nano_io *io);

/* As nano_conv_transpose2d. */
typedef struct {
    const int8_t *weights; /* [out_c][kernel_h][kernel_w][in_c] */
    const int64_t *bias;   /* [out_c] */
    nano_requant_int16 requant;
    nano_window window; /* stride: of the output; padding: cut off the output; dilation 1 */
} nano_conv_transpose2d_int16_params;
void nano_conv_transpose2d_int16(const void *params, const nano_io *io);

/* As nano_operands. */
typedef struct {
    const int16_t *a, *b; /* an operand in flash, or NULL: the next of io->in. Not both in flash */
    uint32_t shape[4];    /* of the output, outermost first; unused leading ones are 1 */
    uint32_t stride_a[4]; /* elements; 0 for unused axes */
    uint32_t stride_b[4];
} nano_operands_int16;

/* add: out = clamp(out_factor * (a_factor * a * 2^15 + b_factor * b * 2^15)); sub: a less b. Each
 * factor rounds its product to an integer. */
typedef struct {
    nano_operands_int16 operands;
    nano_factor a_factor, b_factor; /* scale / (2 * the larger scale): <= 1/2, shift <= 0 */
    nano_factor out_factor;         /* 2 * the larger scale / scale(out) / 2^15: shift <= 0 */
    int16_t min, max;
} nano_add_int16_params;
void nano_add_int16(const void *params, const nano_io *io);
void nano_sub_int16(const void *params, const nano_io *io);

/* mul: out = clamp(factor * a * b) */
typedef struct {
    nano_operands_int16 operands;
    nano_factor factor; /* scale(a) * scale(b) / scale(out) */
    int16_t min, max;
} nano_mul_int16_params;
void nano_mul_int16(const void *params, const nano_io *io);

/* out = clamp(max(a, b)), clamp(min(a, b)); all three share the scale. */
typedef struct {
    nano_operands_int16 operands;
    int16_t min, max;
} nano_extremum_int16_params;
void nano_maximum_int16(const void *params, const nano_io *io);
void nano_minimum_int16(const void *params, const nano_io *io);

/* As nano_prelu. */
typedef struct {
    nano_operands_int16 operands; /* b: the slopes, int8 less their zero point */
    nano_factor positive;         /* scale(a) / scale(out) */
    nano_factor negative;         /* scale(a) * scale(b) / scale(out) */
    int16_t min, max;
} nano_prelu_int16_params;
void nano_prelu_int16(const void *params, const nano_io *io);

/* out = clamp(positive * in) for in >= 0, clamp(sign * (negative * in)) below: ReLU, leaky ReLU, or
 * the same in another scale. A sign of 0 is the magnitude: clamp(negative * -in) below. */
typedef struct {
    nano_factor positive, negative;
    int16_t sign; /* 1, -1 or 0 */
    int16_t min, max;
    uint32_t size; /* elements */
} nano_rectify_int16_params;
void nano_rectify_int16(const void *params, const nano_io *io);

/* out = sigmoid(scale * in), tanh(scale * in), 15 bits behind the point, of one table
 * (docs/numerics.md). */
typedef struct {
    int16_t multiplier; /* in * multiplier / 2^shift is in units of 1 / (3 * 2^12) */
    int16_t shift;      /* 0..31 */
    int16_t min, max;
    uint32_t size; /* elements */
} nano_gate_int16_params;
void nano_sigmoid_int16(const void *params, const nano_io *io);
void nano_tanh_int16(const void *params, const nano_io *io);

/* As nano_max_pool and nano_average_pool; the average of at most 65535 taps. */
void nano_max_pool_int16(const void *params, const nano_io *io);
void nano_average_pool_int16(const void *params, const nano_io *io);

/* As nano_mean, of at most 65535 elements; the zero point is 0, and so is the offset. */
void nano_mean_int16(const void *params, const nano_io *io);

/* Softmax over the last axis, TensorFlow Lite's integer formula for int16; output scale 1/32768. */
typedef struct {
    uint32_t rows;
    uint32_t depth;     /* elements of a row, 1..8191 */
    nano_factor factor; /* beta * scale(in) / (10 / 65535); shift at most 14 */
} nano_softmax_of_int16_params;
void nano_softmax_of_int16(const void *params, const nano_io *io);

/* As nano_copy, nano_transpose and nano_pad. */
typedef struct {
    const int16_t *constant; /* the input in flash, or NULL: io->in[0] */
    uint32_t shape[4];       /* outermost first; unused leading ones are 1 */
    uint32_t in_offset, out_offset;
    uint32_t in_stride[4], out_stride[4]; /* elements; 0 for unused axes */
} nano_copy_int16_params;
void nano_copy_int16(const void *params, const nano_io *io);
void nano_transpose_int16(const void *params, const nano_io *io); /* nano_transpose_params */
typedef struct {
    uint32_t shape[4]; /* of the input, outermost first; unused leading ones are 1 */
    uint32_t before[4], after[4];
    int16_t value; /* of the new elements */
} nano_pad_int16_params;
void nano_pad_int16(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif

#endif
