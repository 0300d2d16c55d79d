/* lines_mac16.h - lines_scalar.h's sums with MAC16 (internal): planes of halves, lines of an even
 * number of them, aligned to 4 bytes; so are weights. */
#ifndef NANO_DEPTHWISE_LINES_MAC16_H
#define NANO_DEPTHWISE_LINES_MAC16_H

#include "lines_scalar.h"

/* Sums that are written behind the last one. */
#define NANO_LINES_MAC16_BEHIND 1

/* 3 x 3 taps, gap 1, `along` 1 or 2. job->weights: nine halves, row by row, and one more. `along`
 * 1: all lines are read to the half behind the last input of an even number of outputs. */
void nano_lines_sums_3x3_mac16(const nano_lines_job *job);

/* Any. job->weights: halves, `kernel` rows of nano_lines_mac16_fours(job, 0) fours each, taps with
 * a gap's as 0, for outputs whose inputs begin at an even place of the line; where `along` is odd
 * such rows of nano_lines_mac16_fours(job, 1), which begin with a 0 more, for the others; and four
 * that are read. From where an output's inputs begin as many are read, and two more. */
void nano_lines_sums_mac16(const nano_lines_job *job);

static inline uint32_t nano_lines_mac16_fours(const nano_lines_job *job, uint32_t odd) {
    return ((job->taps - 1) * job->gap + 1 + odd + 3) / 4;
}

#endif
