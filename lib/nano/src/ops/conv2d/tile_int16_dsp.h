/* tile_int16_dsp.h - sums of int16 inputs and int8 weights, two outputs at a time (internal). */
#ifndef NANO_TILE_INT16_DSP_H
#define NANO_TILE_INT16_DSP_H

#include "../../requant_int16_dsp.h"
#include "nano/ops.h"

#if NANO_SIMD

#define NANO_TILE16_PIXELS 3u
#define NANO_TILE16_SUMS 6u    /* two of each pixel */
#define NANO_TILE16_SCALES 32u /* bytes behind a pair of rows */

/* Three pixels of all outputs. Assembly reads this struct by position. */
typedef struct {
    int16_t *out[NANO_TILE16_PIXELS];
    const uint32_t *inputs; /* NANO_TILE16_SUMS zeros, then [words][3 pixels] */
    uint32_t words;
    const int8_t *weights, *weights_end; /* nano_rows_int16 */
    const nano_rows_int16 *rows;         /* of nano_tile_int16_long_dsp() alone */
} nano_tile_int16;

/* An even number of outputs, at least two; saturated to int16, relu: to 0..32767. */
void nano_tile_int16_dsp(const nano_tile_int16 *tile);
void nano_tile_int16_relu_dsp(const nano_tile_int16 *tile);
/* The same with sums in parts, clamped. */
void nano_tile_int16_long_dsp(const nano_tile_int16 *tile);

/* sums[output][pixel] of the first two outputs: over all words, from the first input on, without
 * the zeros in front. */
void nano_tile_int16_sums_dsp(const nano_tile_int16 *tile, int32_t sums[NANO_TILE16_SUMS]);

/* Three windows, or some rows of them. Assembly reads this struct by position. */
typedef struct {
    const int16_t *windows[NANO_TILE16_PIXELS];
    uint32_t words; /* of a run: what lies side by side */
    uint32_t runs;
    uint32_t *inputs; /* [runs][words][3 pixels] */
    int32_t skip;     /* bytes from the end of a run to the next one */
} nano_windows_int16;

/* Bring them side by side. */
void nano_tile_int16_gather_dsp(const nano_windows_int16 *windows);

/* One pixel of `outputs` outputs, clamped. */
void nano_line_int16_dsp(const nano_rows_int16 *rows, const uint32_t *in, const int8_t *weights,
                         uint32_t outputs, int16_t *out);

#endif
#endif
