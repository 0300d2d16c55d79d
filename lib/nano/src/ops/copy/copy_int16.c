/* copy.c's function on int16. (Where its last axis runs on, nano_copy does it byte by byte.) */
#include "nano/ops.h"

void nano_copy_int16(const void *params, const nano_io *io) {
    const nano_copy_int16_params *const p = (const nano_copy_int16_params *)params;
    const uint32_t *const n = p->shape, *const in_step = p->in_stride, *const step = p->out_stride;
    const int16_t *in0 = p->constant != NULL ? p->constant : (const int16_t *)io->in[0];
    int16_t *out0 = (int16_t *)io->out + p->out_offset;
    in0 += p->in_offset;
    for (uint32_t i0 = 0; i0 < n[0]; i0++, in0 += in_step[0], out0 += step[0]) {
        const int16_t *in1 = in0;
        int16_t *out1 = out0;
        for (uint32_t i1 = 0; i1 < n[1]; i1++, in1 += in_step[1], out1 += step[1]) {
            const int16_t *in2 = in1;
            int16_t *out2 = out1;
            for (uint32_t i2 = 0; i2 < n[2]; i2++, in2 += in_step[2], out2 += step[2])
                for (uint32_t i3 = 0; i3 < n[3]; i3++)
                    out2[i3 * step[3]] = in2[i3 * in_step[3]];
        }
    }
}
