/* add.c's function as a sum of two products, four elements at a time. An element stands in the
 * upper byte of a half, so SMLAW makes floor(256 * a * scale / 2^16) of it. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../requant_dsp.h"

#if NANO_SIMD

/* The clamped sum; `split`: where it is below zero it has its own constant. */
static inline int8_t rounded(const nano_add_dsp_params *p, int32_t sum, int split) {
    if (split)
        sum -= ((int32_t)((uint32_t)sum - (uint32_t)p->zero) >> 31) & p->below;
    return (int8_t)nano_ssat8_asr20(sum);
}

static inline int8_t low(const nano_add_dsp_params *p, nano_halves a, nano_halves b, int split) {
    const int32_t sum = nano_smlawb(p->b_scale, b, p->offset);
    return rounded(p, nano_smlawb(p->a_scale, a, sum), split);
}

static inline int8_t high(const nano_add_dsp_params *p, nano_halves a, nano_halves b, int split) {
    const int32_t sum = nano_smlawt(p->b_scale, b, p->offset);
    return rounded(p, nano_smlawt(p->a_scale, a, sum), split);
}

static inline void add_all(const nano_add_dsp_params *p, const nano_run_of_pairs *row, int split) {
    const uint32_t upper = 0xFF00FF00u;
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out, *const end = out + row->n;
    for (; end - out >= 4; a += 4, b += 4, out += 4) {
        const uint32_t fa = nano_load_unaligned(a), fb = nano_load_unaligned(b);
        const nano_halves a02 = fa << 8 & upper, a13 = fa & upper;
        const nano_halves b02 = fb << 8 & upper, b13 = fb & upper;
        out[0] = low(p, a02, b02, split);
        out[1] = low(p, a13, b13, split);
        out[2] = high(p, a02, b02, split);
        out[3] = high(p, a13, b13, split);
    }
    for (; out != end; a++, b++)
        *out++ = low(p, (uint32_t)(uint8_t)*a << 8, (uint32_t)(uint8_t)*b << 8, split);
}

static void add_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_dsp_params copy = *(const nano_add_dsp_params *)params; /* no store changes it */
    if (copy.below != 0)
        add_all(&copy, row, 1);
    else
        add_all(&copy, row, 0);
    if (copy.min > -128 || copy.max < 127)
        nano_clamp_dsp(row->out, row->n, copy.min, copy.max);
}

void nano_add_dsp(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_dsp_params *)params)->operands, io, add_row, params);
}

#endif
