/* nano/ops.h - the kernels and their parameters.
 *
 * Every kernel is a nano_kernel: `params` points to the struct named after it. Tensors are int8,
 * laid out H, W, C; real = scale * (q - zero_point). Arrays belong to the model and stay in flash.
 * docs/numerics.md states each formula; the portable <op>.c is its readable form.
 *
 * Order, which tells where an output may lie over input 0. A portable kernel writes every output
 * byte once, in memory order: byte 0, 1, ... (raster over the pixels, channels inner). When it
 * writes byte k it has read all that bytes 0..k need; later it reads only what bytes behind k need.
 * So the overlap is harmless if, for every k,
 *     offset(in) - offset(out) > k - (the first input byte that any byte behind k needs).
 * What byte k, of element [r, o] or [y, x, o], needs:
 *     dense          row r, whole
 *     conv2d         the taps of pixel (y, x) inside the image, channels of o's group only
 *     pools          the taps of pixel (y, x) inside the image, channel o only
 *     table          input byte k
 *     softmax        input byte k (the rest of its row it reads before it writes any of the row)
 *     transpose      its one input byte
 *
 * Sums: |bias[o]| + 128 * sum |weights[o]| < 2^31, with the folded bias, so that no accumulator
 * overflows. Every pool window holds at least one tap inside the image. No size is 0. Buffers
 * need no alignment. */
#ifndef NANO_OPS_H
#define NANO_OPS_H

#include <stdint.h>

#include "nano/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How an int32 accumulator becomes an int8 output (TensorFlow Lite's scheme, rounding twice):
 * q = clamp(zero_point + round(round(acc * 2^left * multiplier / 2^31) / 2^right), min, max)
 * where shift = left if positive, -right if negative. acc * 2^left and
 * the sum with zero_point are taken modulo 2^32. */
typedef struct {
    const int32_t *multiplier; /* Q31, each in [2^30, 2^31) or 0 */
    const int8_t *shift;       /* each in [-31, 30]; positive shifts left */
    uint16_t per_channel;      /* 1: one multiplier and shift a channel; 0: one for all */
    int16_t zero_point;        /* of the output, -128..127 */
    int16_t min, max;          /* clamp, -128..127: a fused ReLU, ReLU6, ... or the int8 range */
} nano_requant;

/* out[r, o] = requantize(bias[o] + sum_i in[r, i] * weights[o, i]) */
typedef struct {
    const int8_t *weights; /* [out_features][in_features] */
    const int32_t *bias;   /* [out_features], with -zero_point(in) * sum(weights) folded in */
    nano_requant requant;
    uint16_t rows; /* independent input rows; 1 for a vector */
    uint32_t in_features;
    uint16_t out_features;
} nano_dense_params;
void nano_dense(const void *params, const nano_io *io);

/* The geometry that convolution and pooling share. Padding at the bottom and right follows from
 * the output's size. */
typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t pad_top, pad_left;
    uint16_t dilation_h, dilation_w; /* 1: dense window */
} nano_window;

/* out[y, x, o] = requantize(bias[o] + sum_{i,j,c} in[y*sh + i*dh - pt, x*sw + j*dw - pl, g*cg + c]
 * * w[o, i, j, c]) where group g of `groups` holds out_c / groups outputs and cg = in_c / groups
 * inputs. Outside the input stands its zero point. */
typedef struct {
    const int8_t *weights; /* [out_c][kernel_h][kernel_w][in_c / groups] */
    const int32_t *bias;   /* [out_c], with -zero_point(in) * sum(weights) folded in */
    nano_requant requant;
    nano_window window;
    uint16_t groups;       /* divides in_c and out_c; 1 for an ordinary convolution */
    int16_t in_zero_point; /* fills the padding */
} nano_conv2d_params;
void nano_conv2d(const void *params, const nano_io *io);

/* Max pool leaves padding out; average pool leaves it out of the sum and of the count.
 * max = clamp(largest); avg = clamp(sum / count, rounded half away from zero). Input and output
 * share scale and zero point. */
typedef struct {
    nano_window window; /* in_c == out_c; dilation applies to both */
    int16_t min, max;   /* clamp, -128..127 */
} nano_pool_params;
void nano_max_pool(const void *params, const nano_io *io);
void nano_average_pool(const void *params, const nano_io *io);

/* out[i] = table[in[i] + 128]: any unary function. */
typedef struct {
    const int8_t *table; /* [256], first entry for -128 */
    uint32_t size;       /* elements */
} nano_table_params;
void nano_table(const void *params, const nano_io *io);

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

/* out[i0, i1, i2, i3] = in[i0*stride[0] + i1*stride[1] + i2*stride[2] + i3*stride[3]] */
typedef struct {
    uint16_t shape[4];  /* of the output, outermost first; unused leading ones are 1 */
    uint32_t stride[4]; /* elements of the input */
} nano_transpose_params;
void nano_transpose(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
