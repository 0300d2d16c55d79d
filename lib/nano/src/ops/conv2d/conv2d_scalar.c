/* conv2d.c's equation, two pixels by four outputs at a time (tile_scalar.h). */
#include "nano/ops.h"

#include "tile_scalar.h"

void nano_conv2d_scalar(const void *params, const nano_io *io) {
    const nano_conv2d_scalar_params *const p = (const nano_conv2d_scalar_params *)params;
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_image(&tile, &nano_tile_bytes, &p->window, p->in_zero_point, io);
}
