/* Convolutions in groups, transposed ones and those with a pool behind them, part by part with
 * nano_conv2d_scalar() (parts.h). */
#include "nano/ops.h"

#include "parts.h"

static void part(const nano_conv2d_scalar_params *conv, uint32_t number, const nano_window *window,
                 const nano_io *io, void (*kernel)(const void *, const nano_io *)) {
    nano_conv2d_scalar_params one = *conv;
    one.window = *window;
    const size_t terms = (size_t)window->kernel_h * window->kernel_w * window->in_c;
    const size_t rows = window->out_c % 4u == 3 ? window->out_c + 1u : window->out_c;
    one.weights += number * rows * terms;
    one.scales += (size_t)number * window->out_c * (one.wide ? 2 : 3);
    kernel(&one, io);
}

static void part_scalar(const void *params, uint32_t number, const nano_window *window,
                        const nano_io *io) {
    part((const nano_conv2d_scalar_params *)params, number, window, io, nano_conv2d_scalar);
}

void nano_conv2d_grouped_scalar(const void *params, const nano_io *io) {
    const nano_conv2d_grouped_scalar_params *const p =
        (const nano_conv2d_grouped_scalar_params *)params;
    nano_grouped_parts(&p->conv, &p->conv.window, p->groups, io, part_scalar);
}

void nano_conv_transpose2d_scalar(const void *params, const nano_io *io) {
    const nano_conv_transpose2d_scalar_params *const p =
        (const nano_conv_transpose2d_scalar_params *)params;
    nano_transposed_parts(&p->conv, &p->conv.window, &p->blocks, io, part_scalar);
}

static void part_long_scalar(const void *params, uint32_t number, const nano_window *window,
                             const nano_io *io) {
    part((const nano_conv2d_scalar_params *)params, number, window, io, nano_conv2d_long_scalar);
}

void nano_conv2d_max_pool_scalar(const void *params, const nano_io *io) {
    const nano_conv2d_pool_scalar_params *const p = (const nano_conv2d_pool_scalar_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_scalar, nano_max_pool);
}

void nano_conv2d_average_pool_scalar(const void *params, const nano_io *io) {
    const nano_conv2d_pool_scalar_params *const p = (const nano_conv2d_pool_scalar_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_scalar, nano_average_pool);
}

void nano_conv2d_max_pool_long_scalar(const void *params, const nano_io *io) {
    const nano_conv2d_pool_scalar_params *const p = (const nano_conv2d_pool_scalar_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_long_scalar, nano_max_pool);
}

void nano_conv2d_average_pool_long_scalar(const void *params, const nano_io *io) {
    const nano_conv2d_pool_scalar_params *const p = (const nano_conv2d_pool_scalar_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_long_scalar, nano_average_pool);
}
