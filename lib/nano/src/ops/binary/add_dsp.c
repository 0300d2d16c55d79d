/* add.c's function as a sum of two products, four elements at a time. An element stands in the
 * upper byte of a half, so SMLAW makes floor(256 * a * scale / 2^16) of it. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../requant_dsp.h"

#if NANO_SIMD

static inline int8_t low(const nano_add_dsp_params *p, nano_halves a, nano_halves b) {
    const int32_t sum = nano_smlawb(p->b_scale, b, p->offset);
    return (int8_t)nano_ssat8_asr20(nano_smlawb(p->a_scale, a, sum));
}

static inline int8_t high(const nano_add_dsp_params *p, nano_halves a, nano_halves b) {
    const int32_t sum = nano_smlawt(p->b_scale, b, p->offset);
    return (int8_t)nano_ssat8_asr20(nano_smlawt(p->a_scale, a, sum));
}

static void add_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_dsp_params *const given = (const nano_add_dsp_params *)params;
    const nano_add_dsp_params copy = *given, *const p = &copy; /* no store can change it */
    const uint32_t upper = 0xFF00FF00u;
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out, *const end = out + row->n;
    for (; end - out >= 4; a += 4, b += 4, out += 4) {
        const uint32_t fa = nano_load_unaligned(a), fb = nano_load_unaligned(b);
        const nano_halves a02 = fa << 8 & upper, a13 = fa & upper;
        const nano_halves b02 = fb << 8 & upper, b13 = fb & upper;
        out[0] = low(p, a02, b02);
        out[1] = low(p, a13, b13);
        out[2] = high(p, a02, b02);
        out[3] = high(p, a13, b13);
    }
    for (; out != end; a++, b++)
        *out++ = low(p, (uint32_t)(uint8_t)*a << 8, (uint32_t)(uint8_t)*b << 8);
    if (p->min > -128 || p->max < 127)
        nano_clamp_dsp(row->out, row->n, p->min, p->max);
}

void nano_add_dsp(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_dsp_params *)params)->operands, io, add_row, params);
}

#endif
