/* out = store(factor * ((a - z_a) * (b - z_b))); a, b, out int8, broadcast. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "nano/requant.h"

static void mul_row(const void *params, const nano_run_of_pairs *row) {
    const nano_mul_params *const p = (const nano_mul_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t product = (*a - p->a_zero_point) * (*b - p->b_zero_point);
        row->out[i] = nano_store_result(nano_multiply(product, &p->factor), &p->store);
    }
}

void nano_mul(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_mul_params *)params)->operands, io, mul_row, params);
}
