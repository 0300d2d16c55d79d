/* nano/ops/scalar.h - sums of products for 32-bit cores without SIMD instructions.
 *
 * Same results as their portable forms in linear.h, where lowering proved it
 * (nanotool/lower/scalar). Weights are stored 128 larger, as bytes without sign, in blocks of four
 * rows; the last one or two are stored by themselves, and to the last three a row is added. Scales
 * are the words of src/requant_scalar.h, three for each output, two where `wide` is 1; the bias in
 * them has
 * -(zero_point(in) + 128) * sum(weights) folded in. At most 2^15 terms are summed, and
 * accumulators are below 2^23, or 2^20 where `wide` is 0 and in depthwise convolutions; of "long"
 * kernels they may be any. */
#ifndef NANO_OPS_SCALAR_H
#define NANO_OPS_SCALAR_H

#include "nano/ops/pool.h"
#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nano_dense. Two rows of inputs are read whole before their outputs are written.
 * scratch: in_features bytes, twice that if there are several rows. */
typedef struct {
    const uint8_t *weights; /* blocks of four rows: [in_features][4] */
    const int32_t *scales;  /* [out_features][3 or 2] */
    uint16_t rows;
    uint16_t in_features;
    uint16_t out_features;
    uint16_t wide; /* 1: scales have two words */
    uint16_t unit; /* of the scaling; 0: zero_point is -128, or `wide` is 1 */
    nano_store store;
} nano_dense_scalar_params;
void nano_dense_scalar(const void *params, const nano_io *io);
/* Any accumulators and shifts: `scales` are [out_features][3: bias, multiplier, shift], as
 * nano_requant has them; `wide` and `unit` are 0. */
void nano_dense_long_scalar(const void *params, const nano_io *io);
/* One to three outputs: nano_dense, or nano_conv2d of 1x1 taps, whose pixels are rows. Weights are
 * as they are, int8 [in_features][out_features], and the bias has -zero_point(in) * sum(weights)
 * folded in. No scratch. */
void nano_dense_few_scalar(const void *params, const nano_io *io);
void nano_dense_few_long_scalar(const void *params, const nano_io *io);

/* nano_conv2d in one group. Pixels are computed two by two, in raster order; all that two need is
 * read before any of them is written.
 * scratch: 2 * kernel_h * kernel_w * in_c bytes. */
typedef struct {
    const uint8_t *weights; /* blocks of four rows: [kernel_h][kernel_w][in_c][4] */
    const int32_t *scales;  /* [out_c][3 or 2] */
    nano_window window;
    uint16_t wide;         /* 1: scales have two words */
    uint16_t unit;         /* of the scaling; 0: zero_point is -128, or `wide` is 1 */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_conv2d_scalar_params;
void nano_conv2d_scalar(const void *params, const nano_io *io);
void nano_conv2d_long_scalar(const void *params, const nano_io *io); /* as nano_dense_long_scalar */

/* nano_conv2d in `groups` groups, each by nano_conv2d_scalar(): `conv` is the first one's, its
 * window that of one group's channels; the weights and scales of the others stand behind its own.
 * All inputs of a group are read before its outputs are written, groups one behind the other.
 * scratch: a group's inputs and its outputs, each rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_scalar_params conv;
    uint16_t groups;
} nano_conv2d_grouped_scalar_params;
void nano_conv2d_grouped_scalar(const void *params, const nano_io *io);

/* nano_conv2d in one group and the pool behind it, by nano_conv2d_scalar() and the pool's own
 * kernel (the portable one), in turn: a window of the pool at a time sees as many rows of the
 * convolution as it has, each of which is computed once. All that a row of the pool needs is read
 * before it is written.
 * scratch: pool.kernel_h rows of the convolution's outputs, rounded up to 16 bytes, and that of
 * `conv`. */
typedef struct {
    nano_conv2d_scalar_params conv;
    nano_pool_params pool; /* no dilation; its image is what `conv` computes */
} nano_conv2d_pool_scalar_params;
void nano_conv2d_max_pool_scalar(const void *params, const nano_io *io);
void nano_conv2d_max_pool_long_scalar(const void *params, const nano_io *io);
void nano_conv2d_average_pool_scalar(const void *params, const nano_io *io);
void nano_conv2d_average_pool_long_scalar(const void *params, const nano_io *io);

/* nano_conv_transpose2d as a convolution of blocks of outputs, row by row with
 * nano_conv2d_scalar(): conv.window.out_c is [stride_h][stride_w][channels]; taps that a kernel
 * lacks are 0. A row of blocks is read before it is written. scratch: a row of blocks, rounded up
 * to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_scalar_params conv;
    nano_blocks blocks;
} nano_conv_transpose2d_scalar_params;
void nano_conv_transpose2d_scalar(const void *params, const nano_io *io);

/* nano_depthwise_conv2d. Up to four channels at a time are copied into planes
 * of their own, whose lines are the image's rows or, where that is less work, its columns; a band
 * of output lines at a time. Here weights are as they are.
 *
 * Overlap: if the output lies over the input, or overlaps it from below, results are put over the
 * input, each channel over its own, and moved at the end. So any distance is fine where the output
 * has no more pixels and channels than the input, and the input is lost then.
 * scratch: 4 * together * (outputs a line) + 4 * lines * taps + min(in_c, 4) * pitch * lines in the
 * planes,
 * which are (band - 1) * (stride from line to line) + (lines of the window), in bytes. */
typedef struct {
    const int8_t *weights; /* [o][lines][taps] */
    const int32_t *scales; /* [o][3] */
    nano_window window;
    uint16_t along;        /* stride along a line */
    uint16_t columns;      /* 1: lines are columns of the image; 0: rows */
    uint16_t pitch;        /* bytes a line: an input each, padding included */
    uint16_t band;         /* output lines whose inputs are brought in together */
    uint16_t together;     /* output lines of a channel that are computed together */
    uint16_t unit;         /* of the scaling; 0: zero_point is -128 */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_depthwise_conv2d_scalar_params;
void nano_depthwise_conv2d_scalar(const void *params, const nano_io *io);
/* 3 x 3 taps, dilation 1 and stride 1 or 2 along a line */
void nano_depthwise_conv2d_3x3_scalar(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
