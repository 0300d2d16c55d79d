/* conv2d.c's equation, two pixels by four outputs at a time (tile_scalar.h). */
#include "nano/ops.h"

#include "tile_scalar.h"

static inline void conv2d(const nano_conv2d_scalar_params *p, const nano_io *io,
                          const nano_tile_kind *kind) {
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_image(&tile, kind, &p->window, p->in_zero_point, io);
}

void nano_conv2d_scalar(const void *params, const nano_io *io) {
    conv2d((const nano_conv2d_scalar_params *)params, io, &nano_tile_bytes);
}

void nano_conv2d_long_scalar(const void *params, const nano_io *io) {
    conv2d((const nano_conv2d_scalar_params *)params, io, &nano_tile_long);
}
