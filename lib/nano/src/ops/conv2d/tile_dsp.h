/* tile_dsp.h - all output channels of three pixels (internal). */
#ifndef NANO_CONV2D_TILE_DSP_H
#define NANO_CONV2D_TILE_DSP_H

#include "../../requant_dsp.h"

#if NANO_SIMD

#define NANO_TILE_PIXELS 3
#define NANO_TILE_SUMS 6 /* words of zeros before the tile's inputs */

/* Three pixels' inputs are words of two halves, pixel by pixel: for each quad of terms
 * [0, 2][pixel 0..2], then [1, 3][pixel 0..2]. Six zeros stand before them: the sums begin with
 * them, so one instruction loads both. Assembly reads this struct by position. */
typedef struct {
    int8_t *out[NANO_TILE_PIXELS]; /* the next output of each pixel */
    const uint32_t *inputs;        /* [6 + 6 * quads] */
    uint32_t quads;
    const int16_t *weights;     /* [pairs] of outputs: [quads][4], then NANO_TILE_SCALES */
    const int16_t *weights_end; /* behind the last pair; there is at least one */
} nano_tile;

/* Halves of the scales of a pair: four words for each of both (nano_requantize_ready_dsp). */
#define NANO_TILE_SCALES 16

/* Compute the pairs of outputs of three pixels. relu: the output's zero point is -128. */
void nano_tile_dsp(const nano_tile *tile);
void nano_tile_relu_dsp(const nano_tile *tile);
/* The same where an odd row's sum may pass 2^23: the terms are added in parts of 128 quads, the
 * first of which is shorter by -quads modulo 8. Each part's odd sum is below 2^23. */
void nano_tile_long_dsp(const nano_tile *tile);

/* Three pixels' windows as bytes: `rows` rows of `quads` * 4 bytes, and from the end of a row
 * skips[] bytes to the next one. Assembly reads this struct by position. */
typedef struct {
    const int8_t *windows[NANO_TILE_PIXELS];
    uint32_t quads; /* of one row */
    uint32_t rows;
    uint32_t *inputs; /* [rows][quads][6], behind a tile's zeros */
    uint32_t skips[NANO_TILE_PIXELS];
} nano_windows;

/* Widen three windows into a tile's inputs. */
void nano_tile_widen_dsp(const nano_windows *windows);

#endif
#endif
