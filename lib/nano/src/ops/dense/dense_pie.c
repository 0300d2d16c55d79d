/* dense.c's equation, row by row of inputs (tile_pie.h). */
#include "nano/ops.h"

#include "../conv2d/tile_pie.h"

void nano_dense_pie(const void *params, const nano_io *io) {
    const nano_dense_pie_params *const p = (const nano_dense_pie_params *)params;
    const nano_io aligned = nano_tile_pie_io(io);
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.terms = p->in_features;
    tile.outputs = p->out_features;
    nano_tile_rows(&tile, &nano_tile_pie, p->rows, &aligned);
}
