/* conv2d.c's equation, pixel by pixel (tile_mac16.h). */
#include "nano/ops.h"

#include "parts.h"
#include "tile_mac16.h"

void nano_conv2d_mac16(const void *params, const nano_io *io) {
    const nano_conv2d_mac16_params *const p = (const nano_conv2d_mac16_params *)params;
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_image(&tile, nano_tile_mac16(p->window.in_c), &p->window, p->in_zero_point, io);
}

void nano_conv2d_bytes_mac16(const void *params, const nano_io *io) {
    const nano_conv2d_scalar_params *const p = (const nano_conv2d_scalar_params *)params;
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    tile.wide = p->wide;
    tile.unit = p->unit;
    nano_tile_image(&tile, nano_tile_bytes_mac16(p->window.in_c), &p->window, p->in_zero_point, io);
}

static void part(const void *params, uint32_t number, const nano_window *window,
                 const nano_io *io) {
    nano_conv2d_mac16_params one = *(const nano_conv2d_mac16_params *)params;
    (void)number; /* there is one */
    one.window = *window;
    nano_conv2d_mac16(&one, io);
}

void nano_conv2d_max_pool_mac16(const void *params, const nano_io *io) {
    const nano_conv2d_pool_mac16_params *const p = (const nano_conv2d_pool_mac16_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part, nano_max_pool);
}

void nano_conv2d_average_pool_mac16(const void *params, const nano_io *io) {
    const nano_conv2d_pool_mac16_params *const p = (const nano_conv2d_pool_mac16_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part, nano_average_pool);
}
