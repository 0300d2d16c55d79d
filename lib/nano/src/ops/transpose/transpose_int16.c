/* transpose.c's function on int16. */
#include "nano/ops.h"

void nano_transpose_int16(const void *params, const nano_io *io) {
    const nano_transpose_params *const p = (const nano_transpose_params *)params;
    const uint16_t *const n = p->shape;
    const uint32_t *const step = p->stride;
    const int16_t *const in = (const int16_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    for (uint32_t i0 = 0, at0 = 0; i0 < n[0]; i0++, at0 += step[0])
        for (uint32_t i1 = 0, at1 = at0; i1 < n[1]; i1++, at1 += step[1])
            for (uint32_t i2 = 0, at2 = at1; i2 < n[2]; i2++, at2 += step[2])
                for (uint32_t i3 = 0, at3 = at2; i3 < n[3]; i3++, at3 += step[3])
                    *out++ = in[at3];
}
