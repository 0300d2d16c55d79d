/* planes_dsp.h - channels of an image as planes of halves, four at a time (internal). */
#ifndef NANO_DEPTHWISE_PLANES_DSP_H
#define NANO_DEPTHWISE_PLANES_DSP_H

#include "../../requant_dsp.h"
#include "nano/ops.h"

#if NANO_SIMD

/* One channel's lines to compute. Assembly reads this struct by position. */
typedef struct {
    const uint32_t *plane; /* the first line that the first output line needs */
    int8_t *out;
    const int8_t *weights; /* of this channel */
    const int32_t *scales;
    int32_t offset;   /* 2 * zero_point(out) + 1 */
    uint32_t pitch;   /* bytes of the plane from a line of taps to the next */
    uint32_t step;    /* bytes from an output to the next of its line */
    uint32_t pairs;   /* bytes of the plane from a line's begin to behind its pairs of outputs */
    int32_t next;     /* bytes from there to the lines of the next output line */
    int32_t out_next; /* bytes from behind a line's pairs of outputs to the next line of outputs */
    uint32_t lines;   /* at least 1 */
    uint32_t odd;     /* 1: one output is left behind the pairs; else 0 */
    /* From here on nano_lines_dsp() alone reads. */
    uint32_t stride;      /* halves from the taps of an output to those of the next of its line */
    uint32_t kernel;      /* lines of taps */
    uint32_t words;       /* words a line of taps, the last half may be 0 */
    nano_halves *widened; /* room for [kernel][words] */
} nano_lines;

typedef void (*nano_lines_function)(const nano_lines *lines);

/* Three lines of three taps, stride 1 and 2 along a line. relu: the output's zero point is -128. */
void nano_lines_3x3_dsp(const nano_lines *lines);
void nano_lines_3x3_relu_dsp(const nano_lines *lines);
void nano_lines_3x3_stride2_dsp(const nano_lines *lines);
void nano_lines_3x3_stride2_relu_dsp(const nano_lines *lines);

/* Lines of any number of taps and any stride. It reads up to three outputs beyond a line's end. */
void nano_lines_dsp(const nano_lines *lines);
void nano_lines_relu_dsp(const nano_lines *lines);

/* The whole layer. `lines` computes outputs from planes; a channel has `weights` bytes of weights.
 */
void nano_depthwise_planes(const nano_depthwise_conv2d_dsp_params *params, const nano_io *io,
                           uint32_t weights, nano_lines_function lines);

#endif
#endif
