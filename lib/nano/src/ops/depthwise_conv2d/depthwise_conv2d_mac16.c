/* depthwise_conv2d.c's equation, a product an instruction (mac16.h), on planes of halves. */
#include "nano/ops.h"

#include "lines_mac16.h"

typedef uint16_t element;

#define SUMS_BEHIND NANO_LINES_MAC16_BEHIND

static inline int is_3x3(const nano_lines_job *job) {
    return job->compute == nano_lines_sums_3x3_mac16;
}

/* The fours of all rows of weights whose first tap is at an even place; at an odd one. */
static inline uint32_t fours(const nano_lines_job *job, uint32_t odd) {
    return job->kernel * nano_lines_mac16_fours(job, odd);
}

static inline uint32_t weight_words(const nano_lines_job *job) {
    return is_3x3(job) ? 5 : 2 * (fours(job, 0) + (job->along & 1) * fours(job, 1) + 1);
}

static void take_rows(const nano_lines_job *job, const int8_t *weight, uint32_t odd, int16_t *out) {
    const uint32_t pitch = 4 * nano_lines_mac16_fours(job, odd);
    for (uint32_t i = 0; i < job->kernel; i++, out += pitch) {
        for (uint32_t k = 0; k < pitch; k++)
            out[k] = 0;
        for (uint32_t k = 0; k < job->taps; k++)
            out[odd + k * job->gap] = *weight++;
    }
}

static inline void take_weights(const nano_lines_job *job, const int8_t *weight) {
    int16_t *const out = (int16_t *)(void *)job->weights;
    if (is_3x3(job)) {
        for (uint32_t i = 0; i < 9; i++)
            out[i] = weight[i];
        return;
    }
    take_rows(job, weight, 0, out);
    if (job->along & 1)
        take_rows(job, weight, 1, out + 4 * fours(job, 0));
}

#include "depthwise_conv2d_image.h"

void nano_depthwise_conv2d_3x3_mac16(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_scalar_params *)params, io, nano_lines_sums_3x3_mac16);
}

void nano_depthwise_conv2d_mac16(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_scalar_params *)params, io, nano_lines_sums_mac16);
}
