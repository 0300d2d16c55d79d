/* dense.c's equation, one or two rows of inputs by four outputs at a time (tile_scalar.h). */
#include "nano/ops.h"

#include "../conv2d/tile_scalar.h"

void nano_dense_scalar(const void *params, const nano_io *io) {
    const nano_dense_scalar_params *const p = (const nano_dense_scalar_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.inputs = (uint8_t *)io->scratch;
    tile.terms = p->in_features;
    tile.outputs = p->out_features;
    tile.wide = p->wide;
    tile.unit = p->unit;
    tile.out = (int8_t *)io->out;
    for (uint32_t left = p->rows; left > 0; left -= tile.windows) {
        nano_tile_begin(&tile, left < NANO_TILE_WINDOWS ? left : NANO_TILE_WINDOWS);
        for (uint32_t k = 0; k < tile.windows; k++, in += tile.terms)
            nano_tile_put(&tile, k, 0, in, tile.terms);
        nano_tile_compute(&tile);
        tile.out += tile.windows * tile.outputs;
    }
}
