/* conv2d.c's equation, pixel by pixel (tile_pie.h). */
#include "nano/ops.h"

#include "parts.h"
#include "tile_pie.h"

void nano_conv2d_pie(const void *params, const nano_io *io) {
    const nano_conv2d_pie_params *const p = (const nano_conv2d_pie_params *)params;
    const nano_io aligned = nano_tile_pie_io(io);
    nano_tile_scalar tile = {.weights = p->weights, .scales = p->scales, .store = p->store};
    nano_tile_image(&tile, &nano_tile_pie, &p->window, p->in_zero_point, &aligned);
}

static void part(const void *params, uint32_t number, const nano_window *window,
                 const nano_io *io) {
    nano_conv2d_pie_params one = *(const nano_conv2d_pie_params *)params;
    (void)number; /* there is one */
    one.window = *window;
    nano_conv2d_pie(&one, io);
}

void nano_conv2d_max_pool_pie(const void *params, const nano_io *io) {
    const nano_conv2d_pool_pie_params *const p = (const nano_conv2d_pool_pie_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part, nano_max_pool);
}

void nano_conv2d_average_pool_pie(const void *params, const nano_io *io) {
    const nano_conv2d_pool_pie_params *const p = (const nano_conv2d_pool_pie_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part, nano_average_pool);
}
