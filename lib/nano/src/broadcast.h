/* broadcast.h - the loops that the binary kernels share (internal). */
#ifndef NANO_BROADCAST_H
#define NANO_BROADCAST_H

#include <stdint.h>

#include "nano/ops.h"

/* One run along the last axis: the operands' elements are a_step and b_step apart. */
typedef struct {
    const int8_t *a, *b;
    uint32_t a_step, b_step;
    int8_t *out;
    uint32_t n; /* elements to write */
} nano_run_of_pairs;

/* Computes a run; `params` are the kernel's. */
typedef void (*nano_row_function)(const void *params, const nano_run_of_pairs *row);

/* Call `row` for every run of the output, in memory order. */
void nano_broadcast(const nano_operands *operands, const nano_io *io, nano_row_function row,
                    const void *params);

#endif
