/* dense.c's equation, row by row of inputs (tile_mac16.h). */
#include "nano/ops.h"

#include "../conv2d/tile_mac16.h"

void nano_dense_mac16(const void *params, const nano_io *io) {
    const nano_dense_mac16_params *const p = (const nano_dense_mac16_params *)params;
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.terms = p->in_features;
    tile.outputs = p->out_features;
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_rows(&tile, nano_tile_mac16(p->in_features), p->rows, io);
}

void nano_dense_bytes_mac16(const void *params, const nano_io *io) {
    const nano_dense_scalar_params *const p = (const nano_dense_scalar_params *)params;
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.terms = p->in_features;
    tile.outputs = p->out_features;
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_rows(&tile, nano_tile_bytes_mac16(p->in_features), p->rows, io);
}
