/* memory[f] loses its oldest step and gains zero_point + saturate(feature * (sum of x * w[f]));
 * out[u] = store(factor * (bias[u] + sum over rank filters f and steps s of memory[f, s] * t[f,
 * s])) x: I int8; w: F, I int8; t and memory: F, S int8 or int16; zero points are folded in.
 * As in TensorFlow Lite Micro a step saturates first, and with the zero point it is modulo 2^8. */
#include "nano/ops.h"

#include "svdf.h"

static int32_t feature(const nano_svdf_params *p, const int8_t *x, uint32_t filter) {
    const int8_t *const w = p->weights + (size_t)filter * p->in_features;
    int32_t sum = p->offset[filter];
    for (uint32_t i = 0; i < p->in_features; i++)
        sum += x[i] * w[i];
    return sum;
}

/* Shift a filter's memory by one step, `newest`; the sum over its time. */
static uint32_t remember(int8_t *memory, const int8_t *time, uint32_t steps, int8_t newest) {
    uint32_t sum = 0;
    for (uint32_t s = 0; s + 1 < steps; s++) {
        memory[s] = memory[s + 1];
        sum += (uint32_t)(memory[s] * time[s]);
    }
    memory[steps - 1] = newest;
    return sum + (uint32_t)(newest * time[steps - 1]);
}

static uint32_t remember_int16(int16_t *memory, const int16_t *time, uint32_t steps,
                               int16_t newest) {
    uint32_t sum = 0;
    for (uint32_t s = 0; s + 1 < steps; s++) {
        memory[s] = memory[s + 1];
        sum += (uint32_t)(memory[s] * time[s]);
    }
    memory[steps - 1] = newest;
    return sum + (uint32_t)(newest * time[steps - 1]);
}

/* One step of filter `f`; the sum over its time. */
static uint32_t filter_step(const nano_svdf_params *p, const nano_io *io, uint32_t f) {
    const size_t at = (size_t)f * p->steps;
    const int32_t feature_sum = feature(p, (const int8_t *)io->in[0], f);
    if (p->time_int16 != NULL)
        return remember_int16((int16_t *)io->in[1] + at, p->time_int16 + at, p->steps,
                              nano_svdf_step_int16(p, feature_sum));
    return remember((int8_t *)io->in[1] + at, p->time + at, p->steps,
                    nano_svdf_step(p, feature_sum));
}

void nano_svdf(const void *params, const nano_io *io) {
    const nano_svdf_params *const p = (const nano_svdf_params *)params;
    int8_t *const out = (int8_t *)io->out;
    uint32_t f = 0;
    for (uint32_t u = 0; u < p->units; u++) {
        uint32_t sum = (uint32_t)p->bias[u];
        for (uint32_t r = 0; r < p->rank; r++, f++)
            sum += filter_step(p, io, f);
        out[u] = nano_svdf_output(p, sum);
    }
}
