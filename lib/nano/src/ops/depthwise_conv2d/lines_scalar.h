/* lines_scalar.h - outputs of one channel from the lines of its plane (internal). */
#ifndef NANO_DEPTHWISE_LINES_SCALAR_H
#define NANO_DEPTHWISE_LINES_SCALAR_H

#include "../../requant_scalar.h"

/* One channel's lines to compute. */
typedef struct nano_lines_job {
    void (*compute)(const struct nano_lines_job *job); /* one of the nano_lines_sums below */
    const void *plane; /* the first line that the first output line needs; inputs + 128, as bytes
                        * (lines_mac16.h: as halves), all below counted in them */
    int8_t *out;
    int32_t *sums;    /* [outputs * lines] */
    int32_t *weights; /* [kernel][taps], line by line of the plane (lines_mac16.h: its own) */
    uint32_t kernel, taps, gap; /* lines of taps; taps of a line; from one to the next */
    uint32_t along;             /* of the plane from output to output */
    uint32_t pitch, plane_step; /* the same from a line of taps, or of outputs, to the next */
    uint32_t step, line_step;   /* bytes from output to output, from a line of them to the next */
    uint32_t outputs, lines;    /* outputs a line; lines */
    nano_store store;
    uint32_t below;       /* as nano_scaled_scalar() takes it */
    const int32_t *scale; /* of this channel, as in requant_scalar.h */
} nano_lines_job;

/* Sums, with the bias; of three lines of three taps, stride 1 or 2 along a line. */
void nano_lines_sums(const nano_lines_job *job);
void nano_lines_sums_3x3(const nano_lines_job *job);
void nano_lines_sums_3x3_stride2(const nano_lines_job *job);

/* The outputs of the sums. */
void nano_lines_store(const nano_lines_job *job);

#endif
