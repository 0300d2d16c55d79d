/* lines_scalar.h - outputs of one channel from the lines of its plane (internal). */
#ifndef NANO_DEPTHWISE_LINES_SCALAR_H
#define NANO_DEPTHWISE_LINES_SCALAR_H

#include "../../requant_scalar.h"

/* One channel's lines to compute. */
typedef struct {
    const uint8_t *plane; /* the first line that the first output line needs; inputs + 128 */
    int8_t *out;
    int32_t *sums;              /* [outputs * lines] */
    uint32_t pitch, plane_step; /* bytes of the plane from line to line, of inputs and of outputs */
    uint32_t step, line_step;   /* bytes from output to output, from a line of them to the next */
    uint32_t outputs, lines;    /* outputs a line; lines */
    nano_store store;
    uint32_t below;       /* as nano_scaled_scalar() takes it */
    const int32_t *scale; /* of this channel, as in requant_scalar.h */
    int32_t weights[9];   /* line by line of the plane */
} nano_lines_job;

/* Sums of three lines of three taps, stride 1 or 2 along a line, with the bias. */
void nano_lines_sums(const nano_lines_job *job);
void nano_lines_sums_stride2(const nano_lines_job *job);

/* The outputs of the sums. */
void nano_lines_store(const nano_lines_job *job);

#endif
