/* nano/ops/linear_dsp.h - dense layers and convolutions with the DSP instructions of Armv7E-M.
 *
 * Same results as their portable forms in linear.h, where lowering proved it
 * (nanotool/lower/pack.py). Weights are pairs of rows: a half is 256 * odd row + even row. Terms
 * stand in quads of four, whose order is 0, 2, 1, 3 (what SXTB16 makes of four bytes); a last quad
 * is filled with zeros. Scales are, for each output, {256 * bias + e - 1, multiplier}: e is a right
 * shift of at least 1, the bias has -zero_point(in) * sum(weights) folded in. Arrays are read word
 * by word: NANO_WORD_ALIGNED. */
#ifndef NANO_OPS_LINEAR_DSP_H
#define NANO_OPS_LINEAR_DSP_H

#include "nano/ops/pool.h"
#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nano_dense. Each row of inputs is read whole before its outputs are written.
 * scratch: 16 + 16 * octets bytes. */
typedef struct {
    const int16_t *weights; /* [out_features / 4][2 octets][2][4], then a pair [2 octets][4] */
    const int32_t *scales;  /* [out_features][2]; of three outputs that are left over four */
    uint16_t rows;
    uint16_t octets; /* in_features / 8, rounded up */
    uint32_t in_features;
    uint16_t out_features;
    nano_store store;
} nano_dense_dsp_params;
void nano_dense_dsp(const void *params, const nano_io *io);
void nano_dense_relu_dsp(const void *params, const nano_io *io); /* zero point -128 only */
/* The same where sums of odd rows may pass 2^23: rows are added in parts of 64 octets, the first of
 * which is shorter by -octets modulo 8. In each part an odd row's sum is below 2^23. */
void nano_dense_long_dsp(const void *params, const nano_io *io);

/* nano_conv2d in one group. Behind each pair of rows stand the scales of both, as they are used:
 * words {e - 1, multiplier, 2 * bias, (2 * zero_point(out) + 1) << (e - 1)}. Pixels are computed
 * three by three, in raster order; all that three need is read before any of them is written. A row
 * of a window takes `pitch` terms: with the weights of filling terms 0, either whole quads, which
 * can be read where they lie in the image, or no more than there are, and windows are copied.
 * scratch: 24 + 24 * quads bytes, and 12 * quads for copies of windows or, if `padded`, the image
 * with its padding, 3 bytes behind it, rounded up to 4: then all inputs are read before any output
 * is written. */
typedef struct {
    const int16_t *weights; /* [out_c / 2, rounded up]: [quads][4], then the scales [2][4 words] */
    nano_window window;
    uint16_t quads;  /* kernel_h * pitch / 4, rounded up */
    uint16_t pitch;  /* kernel_w * in_c, or that rounded up to a multiple of 4 */
    uint16_t padded; /* 1: copy the image whole, with its padding; rows of windows are whole quads,
                        dilation_w is 1 */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_conv2d_dsp_params;
void nano_conv2d_dsp(const void *params, const nano_io *io);
void nano_conv2d_relu_dsp(const void *params, const nano_io *io); /* zero point -128 only */
/* The same where sums of odd rows may pass 2^23: in parts of 128 quads, the first of which is
 * shorter by -quads modulo 8, as in nano_dense_long_dsp. */
void nano_conv2d_long_dsp(const void *params, const nano_io *io);

/* nano_conv2d in `groups` groups, each by nano_conv2d_dsp(): `conv` is the first one's, its window
 * that of one group's channels; the weights of the others stand behind its own. All inputs of a
 * group are read before its outputs are written, groups one behind the other.
 * scratch: a group's inputs and its outputs, each rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_dsp_params conv;
    uint16_t groups;
} nano_conv2d_grouped_dsp_params;
void nano_conv2d_grouped_dsp(const void *params, const nano_io *io);
void nano_conv2d_grouped_long_dsp(const void *params, const nano_io *io);

/* nano_conv2d in one group and the pool behind it, by nano_conv2d_dsp() and the pool's own kernel
 * (nano_max_pool_dsp(), nano_average_pool_dsp()), in turn: a window of the pool at a time sees as
 * many rows of the convolution as it has, each of which is computed once. All that a row of the
 * pool needs is read before it is written. scratch: pool.kernel_h rows of the convolution's
 * outputs, rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_dsp_params conv;
    nano_pool_params pool; /* no dilation; its image is what `conv` computes */
} nano_conv2d_pool_dsp_params;
void nano_conv2d_max_pool_dsp(const void *params, const nano_io *io);
void nano_conv2d_max_pool_relu_dsp(const void *params, const nano_io *io);
void nano_conv2d_max_pool_long_dsp(const void *params, const nano_io *io);
void nano_conv2d_average_pool_dsp(const void *params, const nano_io *io);
void nano_conv2d_average_pool_long_dsp(const void *params, const nano_io *io);

/* nano_conv_transpose2d as a convolution of blocks of outputs, row by row with nano_conv2d_dsp():
 * conv.window.out_c is [stride_h][stride_w][channels]; taps that a kernel lacks are 0. A row of
 * blocks is read before it is written.
 * scratch: a row of blocks, rounded up to 16 bytes, and that of `conv`. */
typedef struct {
    nano_conv2d_dsp_params conv;
    nano_blocks blocks;
} nano_conv_transpose2d_dsp_params;
void nano_conv_transpose2d_dsp(const void *params, const nano_io *io);
void nano_conv_transpose2d_long_dsp(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
