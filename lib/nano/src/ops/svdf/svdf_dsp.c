/* svdf.c's equation: the sums over x four filters at a time, those over time a word at a time, in
 * which the memory moves on as well. */
#include "nano/ops.h"

#include "../../dots_dsp.h"
#include "svdf.h"

#if NANO_SIMD

#define FILTERS 4 /* at a time */

/* As remember() and remember_int16() of svdf.c. */
static uint32_t remember(int8_t *memory, const int8_t *time, uint32_t steps, int8_t newest) {
    const int8_t *const last = memory + steps - 1;
    int32_t sum = newest * time[steps - 1];
    for (; last - memory >= 4; memory += 4, time += 4) {
        const uint32_t kept = nano_load_unaligned(memory + 1);
        nano_store_unaligned(memory, kept);
        sum = nano_four_products(nano_load_unaligned(time), nano_sxtb16(kept),
                                 nano_sxtb16_ror8(kept), sum);
    }
    for (; memory != last; memory++) {
        memory[0] = memory[1];
        sum += memory[0] * *time++;
    }
    *memory = newest;
    return (uint32_t)sum;
}

static uint32_t remember_int16(int16_t *memory, const int16_t *time, uint32_t steps,
                               int16_t newest) {
    const int16_t *const last = memory + steps - 1;
    int32_t sum = newest * time[steps - 1];
    for (; last - memory >= 4; memory += 4, time += 4) {
        const nano_halves first = nano_load_unaligned(memory + 1);
        const nano_halves second = nano_load_unaligned(memory + 3);
        nano_store_unaligned(memory, first);
        nano_store_unaligned(memory + 2, second);
        sum = nano_smlad(nano_load_unaligned(time), first, sum);
        sum = nano_smlad(nano_load_unaligned(time + 2), second, sum);
    }
    for (; memory != last; memory++) {
        memory[0] = memory[1];
        sum = (int32_t)((uint32_t)sum + (uint32_t)(memory[0] * *time++));
    }
    *memory = newest;
    return (uint32_t)sum;
}

/* One step of filter `f`, whose sum over x this is; the sum over its time. */
static uint32_t filter_step(const nano_svdf_params *p, void *memory, uint32_t f, int32_t sum) {
    const size_t at = (size_t)f * p->steps;
    if (p->time_int16 != NULL)
        return remember_int16((int16_t *)memory + at, p->time_int16 + at, p->steps,
                              nano_svdf_step_int16(p, sum));
    return remember((int8_t *)memory + at, p->time + at, p->steps, nano_svdf_step(p, sum));
}

/* The sums over x of filter `f` and those behind it, `count` of them. */
static void features(const nano_svdf_params *p, const int8_t *x, uint32_t f, uint32_t count,
                     int32_t *sums) {
    const int8_t *w = p->weights + (size_t)f * p->in_features;
    for (uint32_t k = 0; k < count; k++)
        sums[k] = p->offset[f + k];
    if (count == FILTERS) {
        nano_dots_dsp(x, p->in_features, w, p->in_features, FILTERS, sums);
        return;
    }
    for (uint32_t k = 0; k < count; k++, w += p->in_features)
        nano_dots_dsp(x, p->in_features, w, 0, 1, &sums[k]);
}

void nano_svdf_dsp(const void *params, const nano_io *io) {
    const nano_svdf_params *const p = (const nano_svdf_params *)params;
    const int8_t *const x = (const int8_t *)io->in[0];
    void *const memory = (void *)io->in[1]; /* the input that is written */
    int8_t *const out = (int8_t *)io->out;
    const uint32_t filters = (uint32_t)p->units * p->rank;
    int32_t sums[FILTERS];
    uint32_t unit = 0, of_unit = 0, sum = 0;
    for (uint32_t f = 0; f < filters; f++) {
        if (f % FILTERS == 0)
            features(p, x, f, filters - f < FILTERS ? filters - f : FILTERS, sums);
        if (of_unit == 0)
            sum = (uint32_t)p->bias[unit];
        sum += filter_step(p, memory, f, sums[f % FILTERS]);
        if (++of_unit == p->rank) {
            out[unit++] = nano_svdf_output(p, sum);
            of_unit = 0;
        }
    }
}

#endif
