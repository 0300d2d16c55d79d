/* depthwise_conv2d.c's equation, three outputs of a channel at a time, on planes of bytes. */
#include "nano/ops.h"

#include "lines_scalar.h"

typedef uint8_t element;

#define SUMS_BEHIND 0

static inline uint32_t weight_words(const nano_lines_job *job) {
    return job->kernel * job->taps;
}

static inline void take_weights(const nano_lines_job *job, const int8_t *weight) {
    for (uint32_t i = 0; i < job->kernel * job->taps; i++)
        job->weights[i] = *weight++;
}

#include "depthwise_conv2d_image.h"

void nano_depthwise_conv2d_3x3_scalar(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_scalar_params *const p =
        (const nano_depthwise_conv2d_scalar_params *)params;
    depthwise(p, io, p->along == 1 ? nano_lines_sums_3x3 : nano_lines_sums_3x3_stride2);
}

void nano_depthwise_conv2d_scalar(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_scalar_params *)params, io, nano_lines_sums);
}
