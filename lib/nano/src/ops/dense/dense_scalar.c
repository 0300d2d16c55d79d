/* dense.c's equation, one or two rows of inputs by four outputs at a time (tile_scalar.h). */
#include "nano/ops.h"

#include "../conv2d/tile_scalar.h"

void nano_dense_scalar(const void *params, const nano_io *io) {
    const nano_dense_scalar_params *const p = (const nano_dense_scalar_params *)params;
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.terms = p->in_features;
    tile.outputs = p->out_features;
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_rows(&tile, &nano_tile_bytes, p->rows, io);
}
