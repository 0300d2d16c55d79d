/* tile_pie.h - tile_scalar.h's sums on an ESP32-S3 (internal): a window at a time; inputs and
 * weights as they are; terms in sixteens, and what the last one lacks has the weight 0. */
#ifndef NANO_TILE_PIE_H
#define NANO_TILE_PIE_H

#include "tile_scalar.h"

/* tile->weights: int8 [outputs][terms / 16, rounded up][16]; inputs: int8 [terms / 16, rounded
 * up][16]. Aligned to 16 bytes. */
extern const nano_tile_kind nano_tile_pie;

/* `io` with the scratch at the next multiple of 16. */
static inline nano_io nano_tile_pie_io(const nano_io *io) {
    nano_io aligned = *io;
    aligned.scratch = (int8_t *)io->scratch + (16 - ((uintptr_t)io->scratch & 15)) % 16;
    return aligned;
}

#endif
