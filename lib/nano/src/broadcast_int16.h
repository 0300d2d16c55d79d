/* broadcast_int16.h - the loops that the binary kernels on int16 share (internal). */
#ifndef NANO_BROADCAST_INT16_H
#define NANO_BROADCAST_INT16_H

#include <stdint.h>

#include "nano/ops.h"

/* One run along the last axis: the operands' elements are a_step and b_step apart. */
typedef struct {
    const int16_t *a, *b;
    uint32_t a_step, b_step;
    int16_t *out;
    uint32_t n; /* elements to write */
} nano_run_of_int16;

/* Computes a run; `params` are the kernel's. */
typedef void (*nano_row_int16)(const void *params, const nano_run_of_int16 *row);

/* Call `row` for every run of the output, in memory order. */
void nano_broadcast_int16(const nano_operands_int16 *operands, const nano_io *io,
                          nano_row_int16 row, const void *params);

#endif
