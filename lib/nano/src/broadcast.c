/* broadcast.c - the loops that the binary kernels share. */
#include "broadcast.h"

void nano_broadcast(const nano_operands *operands, const nano_io *io, nano_row_function row,
                    const void *params) {
    const uint32_t *const n = operands->shape;
    const uint32_t *const a_step = operands->stride_a, *const b_step = operands->stride_b;
    const void *const *next = io->in;
    const int8_t *a0 = operands->a != NULL ? operands->a : (const int8_t *)*next++;
    const int8_t *b0 = operands->b != NULL ? operands->b : (const int8_t *)*next;
    nano_run_of_pairs run = {a0, b0, a_step[3], b_step[3], (int8_t *)io->out, n[3]};
    for (uint32_t i0 = 0; i0 < n[0]; i0++, a0 += a_step[0], b0 += b_step[0]) {
        const int8_t *a1 = a0, *b1 = b0;
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
