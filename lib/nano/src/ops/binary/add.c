/* add: out = store(f_out * (f_a * (a - z_a) * 2^20 + f_b * (b - z_b) * 2^20)); sub: a less b.
 * Each factor rounds; a, b, out int8, broadcast. The factors of a and b are at most 1/2, so that
 * the sum stays below 2^29. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../sum.h"

static void add_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_params *const p = (const nano_add_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t sum = nano_summand(*a, p->a_zero_point, &p->a_factor) +
                            nano_summand(*b, p->b_zero_point, &p->b_factor);
        row->out[i] = nano_store_result(nano_multiply(sum, &p->out_factor), &p->store);
    }
}

static void sub_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_params *const p = (const nano_add_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t difference = nano_summand(*a, p->a_zero_point, &p->a_factor) -
                                   nano_summand(*b, p->b_zero_point, &p->b_factor);
        row->out[i] = nano_store_result(nano_multiply(difference, &p->out_factor), &p->store);
    }
}

void nano_add(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_params *)params)->operands, io, add_row, params);
}

void nano_sub(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_params *)params)->operands, io, sub_row, params);
}
