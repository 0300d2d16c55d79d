/* mul.c's function, four elements at a time. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../requant_dsp.h"

#if NANO_SIMD

static void mul_row(const void *params, const nano_run_of_pairs *row) {
    const nano_mul_dsp_params *const p = (const nano_mul_dsp_params *)params;
    const uint32_t za = (uint32_t)-p->a_zero_point, zb = (uint32_t)-p->b_zero_point;
    const nano_halves less_a = nano_pack_low(za, za), less_b = nano_pack_low(zb, zb);
    const int32_t offset = 2 * p->store.zero_point + 1;
    const int32_t scale[2] = {p->scale[0], p->scale[1]};
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out, *const end = out + row->n;
    for (; end - out >= 4; a += 4, b += 4, out += 4) {
        const uint32_t fa = nano_load_unaligned(a), fb = nano_load_unaligned(b);
        const nano_halves a02 = nano_sxtab16(less_a, fa), b02 = nano_sxtab16(less_b, fb);
        const nano_halves a13 = nano_sxtab16_ror8(less_a, fa), b13 = nano_sxtab16_ror8(less_b, fb);
        out[0] = (int8_t)nano_requantize_dsp(nano_smulbb(a02, b02), scale, offset);
        out[1] = (int8_t)nano_requantize_dsp(nano_smulbb(a13, b13), scale, offset);
        out[2] = (int8_t)nano_requantize_dsp(nano_smultt(a02, b02), scale, offset);
        out[3] = (int8_t)nano_requantize_dsp(nano_smultt(a13, b13), scale, offset);
    }
    for (; out != end; a++, b++) {
        const int32_t product = (*a - p->a_zero_point) * (*b - p->b_zero_point);
        *out++ = (int8_t)nano_requantize_dsp(product, scale, offset);
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_dsp(row->out, row->n, p->store.min, p->store.max);
}

void nano_mul_dsp(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_mul_dsp_params *)params)->operands, io, mul_row, params);
}

#endif
