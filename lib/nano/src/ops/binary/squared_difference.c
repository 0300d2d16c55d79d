/* squared_difference: out = store(f_out * (f_a * (a - z_a) * 2^7 - f_b * (b - z_b) * 2^7)^2).
 * Each factor rounds; a, b, out int8, broadcast. The factors of a and b are at most 1/2: the square
 * stays below 2^30. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "nano/requant.h"

#define HEADROOM (1 << 7)

static void squared_difference_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_params *const p = (const nano_add_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t x = nano_multiply((*a - p->a_zero_point) * HEADROOM, &p->a_factor);
        const int32_t y = nano_multiply((*b - p->b_zero_point) * HEADROOM, &p->b_factor);
        const int32_t square = (x - y) * (x - y);
        row->out[i] = nano_store_result(nano_multiply(square, &p->out_factor), &p->store);
    }
}

void nano_squared_difference(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_params *)params)->operands, io, squared_difference_row,
                   params);
}
