/* broadcast_int16.c - the loops that the binary kernels on int16 share. */
#include "broadcast_int16.h"

void nano_broadcast_int16(const nano_operands_int16 *operands, const nano_io *io,
                          nano_row_int16 row, const void *params) {
    const uint32_t *const n = operands->shape;
    const uint32_t *const a_step = operands->stride_a, *const b_step = operands->stride_b;
    const void *const *next = io->in;
    const int16_t *a0 = operands->a != NULL ? operands->a : (const int16_t *)*next++;
    const int16_t *b0 = operands->b != NULL ? operands->b : (const int16_t *)*next;
    nano_run_of_int16 run = {a0, b0, a_step[3], b_step[3], (int16_t *)io->out, n[3]};
    for (uint32_t i0 = 0; i0 < n[0]; i0++, a0 += a_step[0], b0 += b_step[0]) {
        const int16_t *a1 = a0, *b1 = b0;
        for (uint32_t i1 = 0; i1 < n[1]; i1++, a1 += a_step[1], b1 += b_step[1]) {
            run.a = a1;
            run.b = b1;
            for (uint32_t i2 = 0; i2 < n[2]; i2++) {
                row(params, &run);
                run.a += a_step[2];
                run.b += b_step[2];
                run.out += n[3];
            }
        }
    }
}
