/* d = a - z_a; out = store(positive * d) if d >= 0, else store(negative * (d * (b - z_b)));
 * a: input, b: slopes, out: int8, broadcast. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "nano/requant.h"

static void prelu_row(const void *params, const nano_run_of_pairs *row) {
    const nano_prelu_params *const p = (const nano_prelu_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t d = *a - p->a_zero_point;
        const int32_t scaled = d >= 0 ? nano_multiply(d, &p->positive)
                                      : nano_multiply(d * (*b - p->b_zero_point), &p->negative);
        row->out[i] = nano_store_result(scaled, &p->store);
    }
}

void nano_prelu(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_prelu_params *)params)->operands, io, prelu_row, params);
}
