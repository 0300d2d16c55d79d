/* nano/ops/int16_dsp.h - sums over int16 activations with the DSP instructions of Armv7E-M.
 *
 * Same results as their portable forms in int16.h, where lowering proved it
 * (nanotool/lower/armv7em/int16.py). Weights stay bytes; what stands in a word is in the order that
 * SXTB16 takes apart. Scales are, for each output, words {low, high, multiplier, shift}: the output
 * is ((2^32 * high + low) + sum * multiplier) >> (32 + shift), the bias and the rounding are in it.
 * Arrays are read word by word: NANO_WORD_ALIGNED. */
#ifndef NANO_OPS_INT16_DSP_H
#define NANO_OPS_INT16_DSP_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Outputs two by two: their weights, then the scales of both; those that an odd number lacks are 0.
 * A word has of two terms a and b the weights {even a, odd a, even b, odd b}. Sums are taken in
 * parts of `part` words, each of them within int32. */
typedef struct {
    const int8_t *weights; /* [outputs / 2, rounded up]: [words][4], then scales [2][4 words] */
    uint16_t words;        /* of a row */
    uint16_t part;         /* words; all of them where the sum is within int32 */
    int16_t min, max;
} nano_rows_int16;

/* nano_dense_int16. Each row of inputs is read whole before its outputs are written.
 * scratch: 4 * words bytes. */
typedef struct {
    nano_rows_int16 outputs;
    uint16_t rows;
    uint32_t in_features;
    uint16_t out_features;
} nano_dense_int16_dsp_params;
void nano_dense_int16_dsp(const void *params, const nano_io *io);

/* nano_conv2d_int16. Pixels are computed three by three, in raster order; all that three need is
 * read before any of them is written; groups one behind the other. What lies side by side in the
 * image, a kernel's row or, with groups or a dilation, a tap's channels, begins with a word of its
 * own. Groups have weights of their own, one behind the other.
 * scratch: 24 + 12 * words bytes. */
typedef struct {
    nano_rows_int16 outputs; /* of one group */
    nano_window window;
    uint16_t groups;
} nano_conv2d_int16_dsp_params;
void nano_conv2d_int16_dsp(const void *params, const nano_io *io);      /* clamps behind */
void nano_conv2d_int16_relu_dsp(const void *params, const nano_io *io); /* min 0, max 32767 */
void nano_conv2d_int16_long_dsp(const void *params, const nano_io *io); /* in several parts */

/* nano_conv2d_int16 with as many groups as input channels. Pixel by pixel, channels in fours. */
typedef struct {
    const int8_t *weights; /* [out_c / 4, rounded up][kernel_h][kernel_w][4: 0 2 1 3] */
    const int32_t *scales; /* [out_c][4] */
    nano_window window;
    uint16_t multiplier; /* out_c / in_c */
    int16_t min, max;
} nano_depthwise_conv2d_int16_dsp_params;
void nano_depthwise_conv2d_int16_dsp(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
