/* Convolutions in groups, transposed ones and those with a pool behind them, part by part with
 * nano_conv2d_mve() (parts.h). */
#include "nano/ops.h"

#include "parts.h"
#include "../../mve.h"

#if NANO_MVE

static void part(const nano_conv2d_mve_params *conv, uint32_t number, const nano_window *window,
                 const nano_io *io, void (*kernel)(const void *, const nano_io *)) {
    nano_conv2d_mve_params one = *conv;
    one.window = *window;
    const size_t blocks = (size_t)number * ((window->out_c + 3u) / 4);
    one.weights += blocks * one.steps * 64;
    one.scales += blocks * 8;
    kernel(&one, io);
}

static void part_mve(const void *params, uint32_t number, const nano_window *window,
                     const nano_io *io) {
    part((const nano_conv2d_mve_params *)params, number, window, io, nano_conv2d_mve);
}

void nano_conv2d_grouped_mve(const void *params, const nano_io *io) {
    const nano_conv2d_grouped_mve_params *const p = (const nano_conv2d_grouped_mve_params *)params;
    nano_grouped_parts(&p->conv, &p->conv.window, p->groups, io, part_mve);
}

void nano_conv_transpose2d_mve(const void *params, const nano_io *io) {
    const nano_conv_transpose2d_mve_params *const p =
        (const nano_conv_transpose2d_mve_params *)params;
    nano_transposed_parts(&p->conv, &p->conv.window, &p->blocks, io, part_mve);
}

static void part_relu_mve(const void *params, uint32_t number, const nano_window *window,
                          const nano_io *io) {
    part((const nano_conv2d_mve_params *)params, number, window, io, nano_conv2d_relu_mve);
}

void nano_conv2d_max_pool_mve(const void *params, const nano_io *io) {
    const nano_conv2d_pool_mve_params *const p = (const nano_conv2d_pool_mve_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_mve, nano_max_pool_mve);
}

void nano_conv2d_max_pool_relu_mve(const void *params, const nano_io *io) {
    const nano_conv2d_pool_mve_params *const p = (const nano_conv2d_pool_mve_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_relu_mve, nano_max_pool_mve);
}

void nano_conv2d_average_pool_mve(const void *params, const nano_io *io) {
    const nano_conv2d_pool_mve_params *const p = (const nano_conv2d_pool_mve_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_mve, nano_average_pool_mve);
}

#endif
