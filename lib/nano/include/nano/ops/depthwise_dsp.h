/* nano/ops/depthwise_dsp.h - depthwise convolutions with the DSP instructions of Armv7E-M.
 *
 * Same results as nano_depthwise_conv2d where lowering proved it
 * (nanotool/lower/armv7em/depthwise.py). Up to four channels at a time are
 * widened into planes of their own, whose lines are the image's rows or, where that is less work,
 * its columns; a band of output lines at a time.
 *
 * Overlap: if the output lies over the input, or overlaps it from below, results are put over the
 * input, each channel over its own, and moved at the end. So any distance is fine where the output
 * has no more pixels than the input, and the input is lost then. */
#ifndef NANO_OPS_DEPTHWISE_DSP_H
#define NANO_OPS_DEPTHWISE_DSP_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Scales and alignment are as in linear_dsp.h. A kernel's lines are its rows, or its columns.
 * scratch: 4 * min(in_c, 4) * pitch * lines bytes, lines = (band - 1) * (stride from line to line)
 * + (lines of the window); without 3x3 and 2 bytes more a weight. */
typedef struct {
    const int8_t *weights; /* 3x3: [o][3 lines][4: taps 0 1 1 2]; else [o][lines][taps, gaps are 0,
                              made even] */
    const int32_t *scales; /* [o][2] */
    nano_window window;    /* 3x3: stride 1 or 2, dilation 1 along a line */
    uint16_t columns;      /* 1: lines are columns of the image; 0: rows */
    uint16_t pitch;        /* words a line: two inputs each, padding included */
    uint16_t band;         /* output lines that are computed together */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_depthwise_conv2d_dsp_params;
void nano_depthwise_conv2d_dsp(const void *params, const nano_io *io);
void nano_depthwise_conv2d_3x3_dsp(const void *params, const nano_io *io);
/* zero point of the output -128 only */
void nano_depthwise_conv2d_relu_dsp(const void *params, const nano_io *io);
void nano_depthwise_conv2d_3x3_relu_dsp(const void *params, const nano_io *io);

/* An output of one pixel, whose window lies inside the image: with nano_depthwise_conv2d_params,
 * channels a multiple of 4, any dilation. Input, weights and output are aligned to 4 bytes. Four
 * output bytes, from byte k on, need the input from byte k on. */
void nano_depthwise_conv2d_pixel_dsp(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
