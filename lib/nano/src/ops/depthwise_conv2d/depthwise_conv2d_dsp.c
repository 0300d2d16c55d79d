/* depthwise_conv2d.c's equation, by way of planes (planes_dsp.c). */
#include "nano/ops.h"

#include "planes_dsp.h"

#if NANO_SIMD

static uint32_t along(const nano_depthwise_conv2d_dsp_params *p) {
    return p->columns ? p->window.stride_h : p->window.stride_w;
}

/* Bytes of weights an output: lines of taps, gaps included, whole words each. */
static uint32_t weights(const nano_depthwise_conv2d_dsp_params *p) {
    const nano_window *const v = &p->window;
    const uint32_t h = (v->kernel_h - 1u) * v->dilation_h + 1;
    const uint32_t w = (v->kernel_w - 1u) * v->dilation_w + 1;
    return p->columns ? v->kernel_w * (h + h % 2) : v->kernel_h * (w + w % 2);
}

void nano_depthwise_conv2d_3x3_dsp(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_dsp_params *const p =
        (const nano_depthwise_conv2d_dsp_params *)params;
    nano_depthwise_planes(p, io, 12,
                          along(p) == 1 ? nano_lines_3x3_dsp : nano_lines_3x3_stride2_dsp);
}

void nano_depthwise_conv2d_3x3_relu_dsp(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_dsp_params *const p =
        (const nano_depthwise_conv2d_dsp_params *)params;
    nano_depthwise_planes(
        p, io, 12, along(p) == 1 ? nano_lines_3x3_relu_dsp : nano_lines_3x3_stride2_relu_dsp);
}

void nano_depthwise_conv2d_dsp(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_dsp_params *const p =
        (const nano_depthwise_conv2d_dsp_params *)params;
    nano_depthwise_planes(p, io, weights(p), nano_lines_dsp);
}

void nano_depthwise_conv2d_relu_dsp(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_dsp_params *const p =
        (const nano_depthwise_conv2d_dsp_params *)params;
    nano_depthwise_planes(p, io, weights(p), nano_lines_relu_dsp);
}

#endif
