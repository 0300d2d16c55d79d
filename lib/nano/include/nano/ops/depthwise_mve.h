/* nano/ops/depthwise_mve.h - depthwise convolutions with the vectors of Armv8.1-M (MVE).
 *
 * Same results as nano_depthwise_conv2d (linear.h), where lowering proved it
 * (nanotool/lower/armv81m/depthwise.py).
 *
 * Order. Channels are computed eight at a time, in bands of lines. What a band needs is brought
 * into planes before its outputs are written: for each pair of lines a word for each place along
 * them, the bytes of which are four lines' inputs. */
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

#ifdef __cplusplus
}
#endif
#endif
