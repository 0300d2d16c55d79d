/* Convolutions in groups, transposed ones and those with a pool behind them, part by part with
 * nano_conv2d_dsp() (parts.h). */
#include "nano/ops.h"

#include "parts.h"
#include "tile_dsp.h"

#if NANO_SIMD

static void part(const nano_conv2d_dsp_params *conv, uint32_t number, const nano_window *window,
                 const nano_io *io, void (*kernel)(const void *, const nano_io *)) {
    nano_conv2d_dsp_params one = *conv;
    one.window = *window;
    one.weights +=
        (size_t)number * ((window->out_c + 1u) / 2) * (4u * one.quads + NANO_TILE_SCALES);
    kernel(&one, io);
}

static void part_dsp(const void *params, uint32_t number, const nano_window *window,
                     const nano_io *io) {
    part((const nano_conv2d_dsp_params *)params, number, window, io, nano_conv2d_dsp);
}

void nano_conv2d_grouped_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_grouped_dsp_params *const p = (const nano_conv2d_grouped_dsp_params *)params;
    nano_grouped_parts(&p->conv, &p->conv.window, p->groups, io, part_dsp);
}

void nano_conv_transpose2d_dsp(const void *params, const nano_io *io) {
    const nano_conv_transpose2d_dsp_params *const p =
        (const nano_conv_transpose2d_dsp_params *)params;
    nano_transposed_parts(&p->conv, &p->conv.window, &p->blocks, io, part_dsp);
}

static void part_long_dsp(const void *params, uint32_t number, const nano_window *window,
                          const nano_io *io) {
    part((const nano_conv2d_dsp_params *)params, number, window, io, nano_conv2d_long_dsp);
}

void nano_conv2d_grouped_long_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_grouped_dsp_params *const p = (const nano_conv2d_grouped_dsp_params *)params;
    nano_grouped_parts(&p->conv, &p->conv.window, p->groups, io, part_long_dsp);
}

void nano_conv_transpose2d_long_dsp(const void *params, const nano_io *io) {
    const nano_conv_transpose2d_dsp_params *const p =
        (const nano_conv_transpose2d_dsp_params *)params;
    nano_transposed_parts(&p->conv, &p->conv.window, &p->blocks, io, part_long_dsp);
}

static void part_relu_dsp(const void *params, uint32_t number, const nano_window *window,
                          const nano_io *io) {
    part((const nano_conv2d_dsp_params *)params, number, window, io, nano_conv2d_relu_dsp);
}

void nano_conv2d_max_pool_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_pool_dsp_params *const p = (const nano_conv2d_pool_dsp_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_dsp, nano_max_pool_dsp);
}

void nano_conv2d_average_pool_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_pool_dsp_params *const p = (const nano_conv2d_pool_dsp_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_dsp, nano_average_pool_dsp);
}

void nano_conv2d_max_pool_relu_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_pool_dsp_params *const p = (const nano_conv2d_pool_dsp_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_relu_dsp, nano_max_pool_dsp);
}

void nano_conv2d_max_pool_long_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_pool_dsp_params *const p = (const nano_conv2d_pool_dsp_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_long_dsp, nano_max_pool_dsp);
}

void nano_conv2d_average_pool_long_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_pool_dsp_params *const p = (const nano_conv2d_pool_dsp_params *)params;
    nano_pooled_parts(&p->conv, &p->conv.window, &p->pool, io, part_long_dsp,
                      nano_average_pool_dsp);
}

#endif
