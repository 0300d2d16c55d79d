/* tile_scalar.h - sums of products, one or two windows by four outputs at a time (internal).
 *
 * Inputs and weights are stored 128 larger, as bytes without sign, which every core loads in one
 * instruction:
 *     sum x * w = sum (x + 128) * (w + 128) - 128 * sum (x + 128) - 128 * sum w
 * Lowering folds the last term into the bias; the one before it is a window's, and where its sums
 * begin. With at most 2^15 terms nothing leaves int32 on the way. */
#ifndef NANO_TILE_SCALAR_H
#define NANO_TILE_SCALAR_H

#include "../../requant_scalar.h"

/* 1: the inputs of two windows stand side by side, so that a weight is loaded once for both. For
 * that a core needs more than Armv6-M's eight registers. */
#ifndef NANO_TILE_PAIRED
#if defined(__ARM_ARCH_6M__)
#define NANO_TILE_PAIRED 0
#else
#define NANO_TILE_PAIRED 1
#endif
#endif

/* Windows that are read before the outputs of any of them are written. */
#define NANO_TILE_WINDOWS 2

typedef struct {
    const void *weights;   /* uint8 [outputs / 4][terms][4]; of one or two that are left: [terms]
                              each; of three: a block whose fourth output is no one's */
    const int32_t *scales; /* [outputs][3 or 2] */
    void *inputs;          /* uint8 [terms][windows]; not paired: [windows][terms] */
    const int8_t *rows;    /* in their place: int8 [windows][terms], where they are */
    uint32_t terms, outputs;
    uint32_t windows; /* 1 or 2 */
    uint32_t wide;    /* 1: scaling is (requant_scalar.h) */
    uint32_t unit;    /* of the scaling; 0: zero_point is -128, or `wide` is 1 */
    nano_store store;
    int32_t sums[NANO_TILE_WINDOWS]; /* where each window's sums begin */
    int8_t *out;                     /* [windows][outputs] */
} nano_tile_scalar;

/* The tile's next `windows` windows are about to be brought in. */
static inline void nano_tile_begin(nano_tile_scalar *tile, uint32_t windows) {
    tile->windows = windows;
    tile->sums[0] = 0;
    tile->sums[1] = 0;
}

/* Bring in n inputs of window k, as its terms from `first` on; or n times the zero point. */
void nano_tile_put(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in,
                   uint32_t n);
void nano_tile_fill(nano_tile_scalar *tile, uint32_t k, uint32_t first, int32_t zero_point,
                    uint32_t n);

/* All outputs of the windows that were brought in. */
void nano_tile_compute(const nano_tile_scalar *tile);

/* A way to hold inputs and weights, and to sum: these functions, or tile_mac16.h's. Without `put`
 * and `fill` rows are read where they are. */
typedef struct {
    void (*put)(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in, uint32_t n);
    void (*fill)(nano_tile_scalar *tile, uint32_t k, uint32_t first, int32_t zero_point,
                 uint32_t n);
    void (*compute)(const nano_tile_scalar *tile);
    uint32_t windows; /* at once, at most */
    /* Bring in all of the only window, if that has a way of its own; or NULL. */
    void (*put_row)(nano_tile_scalar *tile, const int8_t *in);
} nano_tile_kind;

extern const nano_tile_kind nano_tile_bytes;
/* The same for any sums and shifts: `scales` are {bias, multiplier, shift}, requant.h's. */
extern const nano_tile_kind nano_tile_long;
/* The same for one to three outputs of rows, which are read where they are. Weights: int8
 * [terms][outputs], as they are; so the bias has -zero_point(in) * sum(weights) folded in. */
extern const nano_tile_kind nano_tile_few;
extern const nano_tile_kind nano_tile_few_long;

/* The outputs of all windows of an image, one or two at a time in raster order. `tile` has what a
 * layer's own: weights, scales, wide, unit, store. */
void nano_tile_image(nano_tile_scalar *tile, const nano_tile_kind *kind, const nano_window *window,
                     int32_t in_zero_point, const nano_io *io);
/* The same for `rows` rows of tile->terms inputs each. */
void nano_tile_rows(nano_tile_scalar *tile, const nano_tile_kind *kind, uint32_t rows,
                    const nano_io *io);

#endif
