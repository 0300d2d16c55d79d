/* dense.c's equation, one or two rows of inputs by up to four outputs at a time
 * (tile_scalar.h). */
#include "nano/ops.h"

#include "../conv2d/tile_scalar.h"

static inline void dense(const nano_dense_scalar_params *p, const nano_io *io,
                         const nano_tile_kind *kind) {
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.terms = p->in_features;
    tile.outputs = p->out_features;
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_rows(&tile, kind, p->rows, io);
}

void nano_dense_scalar(const void *params, const nano_io *io) {
    dense((const nano_dense_scalar_params *)params, io, &nano_tile_bytes);
}

void nano_dense_long_scalar(const void *params, const nano_io *io) {
    dense((const nano_dense_scalar_params *)params, io, &nano_tile_long);
}

void nano_dense_few_scalar(const void *params, const nano_io *io) {
    dense((const nano_dense_scalar_params *)params, io, &nano_tile_few);
}

void nano_dense_few_long_scalar(const void *params, const nano_io *io) {
    dense((const nano_dense_scalar_params *)params, io, &nano_tile_few_long);
}
