/* tile_mac16.h - tile_scalar.h's sums on cores with MAC16 (internal): a window at a time; inputs
 * 128 larger, weights as they are, both as halves; terms in fours, and what the last four lacks has
 * the weight 0.
 *
 * Where the inputs that stand side by side are whole words, the terms of a four are in the order 0,
 * 2, 1, 3: a word of four inputs then becomes two words of two halves by masks alone. */
#ifndef NANO_TILE_MAC16_H
#define NANO_TILE_MAC16_H

#include "tile_scalar.h"

/* tile->weights: int16 [outputs][terms / 4, rounded up][4], and 8 bytes that are read; inputs:
 * int16 [terms / 4, rounded up][4], and 4 bytes that are read. Aligned to 4 bytes. `together`: the
 * inputs that stand side by side, a pixel's channels or a row's. */
const nano_tile_kind *nano_tile_mac16(uint32_t together);
/* The same with tile->weights as bytes, 128 larger, the two in the middle of each four exchanged;
 * what the last four lacks is 0; none are read ahead. */
const nano_tile_kind *nano_tile_bytes_mac16(uint32_t together);

#endif
