/* nano/ops/depthwise_mve.h - depthwise convolutions with the vectors of Armv8.1-M (MVE).
 *
 * Same results as nano_depthwise_conv2d (linear.h), where lowering proved it
 * (nanotool/lower/armv81m/depthwise.py).
 *
 * Order of 3 x 3. Channels are computed eight at a time, in bands of lines. What a band needs is
 * brought into planes before its outputs are written: for each pair of lines a word for each place
 * along them, the bytes of which are four lines' inputs. */
#ifndef NANO_OPS_DEPTHWISE_MVE_H
#define NANO_OPS_DEPTHWISE_MVE_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 3 x 3 taps, one output a channel. A kernel's lines are its rows, or its columns. The output may
 * begin anywhere at or below the input, if it is not larger: results go over the input first and
 * then to their place.
 * scratch: 32 * pitch * bands bytes. */
typedef struct {
    const int8_t *weights; /* [c][3 along a line][4: lines 0 1 2, 0] */
    const int32_t *scales; /* [c][3]: bias, multiplier, -shift; a right shift of at least 1 */
    nano_window window;    /* in_c == out_c >= 8; stride 1, 1 or 2, 2; dilation 1; padding <= 2 */
    uint16_t columns;      /* 1: lines are columns of the image; 0: rows */
    uint16_t pitch;        /* words a band, padding included */
    uint16_t bands; /* that are computed together; each of two output lines, with stride 2 of one */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_depthwise_conv2d_mve_params;
void nano_depthwise_conv2d_3x3_mve(const void *params, const nano_io *io);
/* zero point of the output -128 only */
void nano_depthwise_conv2d_3x3_relu_mve(const void *params, const nano_io *io);

/* Any window, any number of outputs a channel. Pixels are computed in raster order, 16 outputs at a
 * time; all that these need is read before any of them is written.
 * scratch: 4 * kernel_h * kernel_w bytes; out_c, rounded up to 16, if that is more than in_c. */
typedef struct {
    const int8_t *weights; /* [o / 16, rounded up][kernel_h * kernel_w][16], -127..127; then 0 */
    /* [o / 16, rounded up][4: outputs 4 k + i][2][4], of linear_mve.h; then 0 */
    const int32_t *scales;
    nano_window window;
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_depthwise_conv2d_pixel_mve_params;
void nano_depthwise_conv2d_pixel_mve(const void *params, const nano_io *io);
/* zero point of the output -128 only */
void nano_depthwise_conv2d_pixel_relu_mve(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
