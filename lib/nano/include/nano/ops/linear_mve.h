/* nano/ops/linear_mve.h - dense layers and convolutions with the vectors of Armv8.1-M (MVE).
 *
 * Same results as their portable forms in linear.h, where lowering proved it
 * (nanotool/lower/armv81m). Terms stand in steps of 16, outputs in blocks of four; zeros fill the
 * last of both. Scales are, for each block, four words {256 * bias + (-e modulo 256)}, then four
 * multipliers: e is a right shift of at least 1, the bias has -zero_point(in) * sum(weights) folded
 * in. */
#ifndef NANO_OPS_LINEAR_MVE_H
#define NANO_OPS_LINEAR_MVE_H

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

#ifdef __cplusplus
}
#endif
#endif
