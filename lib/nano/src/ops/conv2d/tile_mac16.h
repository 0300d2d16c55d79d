/* tile_mac16.h - tile_scalar.h's sums on cores with MAC16 (internal): a window at a time, four
 * outputs each; inputs 128 larger, weights as they are, both as halves.
 *
 * Terms are in fours, those of a four in the order 0, 2, 1, 3: so a word of four inputs becomes two
 * words of two halves by masks alone. The terms that the last four lacks have the weight 0. */
#ifndef NANO_TILE_MAC16_H
#define NANO_TILE_MAC16_H

#include "tile_scalar.h"

/* tile->weights: int16 [outputs / 4, rounded up][4][terms / 4, rounded up][4], and 8 bytes that are
 * read; inputs: int16 [terms / 4, rounded up][4], and 4 bytes that are read. Aligned to 4 bytes. */
extern const nano_tile_kind nano_tile_mac16;

#endif
