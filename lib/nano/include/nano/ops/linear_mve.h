/* nano/ops/linear_mve.h - dense layers and convolutions with the vectors of Armv8.1-M (MVE).
 *
 * Same results as their portable forms in linear.h, where lowering proved it
 * (nanotool/lower/armv81m). Terms stand in steps of 16, outputs in blocks of four; zeros fill the
 * last of both. Scales are, for each block, four words {256 * bias + (-e modulo 256)}, then four
 * multipliers: e is a right shift of at least 1, the bias has -zero_point(in) * sum(weights) folded
 * in. */
#ifndef NANO_OPS_LINEAR_MVE_H
#define NANO_OPS_LINEAR_MVE_H

#include "nano/ops/pool.h"
#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nano_dense. Each row of inputs is read whole before its outputs are written.
 * scratch: 16 * steps bytes. */
typedef struct {
    const int8_t *weights; /* [blocks][steps][4][16] */
    const int32_t *scales; /* [blocks][2][4] */
    uint16_t rows;
    uint16_t steps; /* in_features / 16, rounded up */
    uint32_t in_features;
    uint16_t out_features;
    nano_store store;
} nano_dense_mve_params;
void nano_dense_mve(const void *params, const nano_io *io);
void nano_dense_relu_mve(const void *params, const nano_io *io); /* zero point -128 only */

/* nano_conv2d in one group. Pixels are computed two by two, in raster order; all that two need is
 * read before any of them is written.
 * scratch: 32 * steps + 16 bytes. */
typedef struct {
    const int8_t *weights; /* [blocks][steps][4][16], terms in the order kernel_h, kernel_w, in_c */
    const int32_t *scales; /* [blocks][2][4] */
    nano_window window;
    uint16_t steps;        /* kernel_h * kernel_w * in_c / 16, rounded up */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_conv2d_mve_params;
void nano_conv2d_mve(const void *params, const nano_io *io);
void nano_conv2d_relu_mve(const void *params, const nano_io *io); /* zero point -128 only */
/* One to three outputs a pixel, whose windows are inside the image and have their inputs side by
 * side there: one row of taps, or whole rows of the image, no gaps along a row. All that a pixel
 * needs is read before it is written. No scratch. */
void nano_conv2d_few_mve(const void *params, const nano_io *io);

/* nano_conv2d in `groups` groups, each by nano_conv2d_mve(): `conv` is the first one's, its window
 * that of one group's channels; the weights and scales of the others stand behind its own. All
 * inputs of a group are read before its outputs are written, groups one behind the other. scratch:
 * a group's inputs and its outputs, each rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_mve_params conv;
    uint16_t groups;
} nano_conv2d_grouped_mve_params;
void nano_conv2d_grouped_mve(const void *params, const nano_io *io);

/* nano_conv2d in one group and the pool behind it, by nano_conv2d_mve() and the pool's own kernel
 * (nano_max_pool_mve(), nano_average_pool_mve()), in turn: a window of the pool at a time sees as
 * many rows of the convolution as it has, each of which is computed once. All that a row of the
 * pool needs is read before it is written. scratch: pool.kernel_h rows of the convolution's
 * outputs, rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_mve_params conv;
    nano_pool_params pool; /* no dilation; its image is what `conv` computes */
} nano_conv2d_pool_mve_params;
void nano_conv2d_max_pool_mve(const void *params, const nano_io *io);
void nano_conv2d_max_pool_relu_mve(const void *params, const nano_io *io);
void nano_conv2d_average_pool_mve(const void *params, const nano_io *io);

/* nano_conv_transpose2d as a convolution of blocks of outputs, row by row with nano_conv2d_mve():
 * conv.window.out_c is [stride_h][stride_w][channels]; taps that a kernel lacks are 0. A row of
 * blocks is read before it is written.
 * scratch: a row of blocks, rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_mve_params conv;
    nano_blocks blocks;
} nano_conv_transpose2d_mve_params;
void nano_conv_transpose2d_mve(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
