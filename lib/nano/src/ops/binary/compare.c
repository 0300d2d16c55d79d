/* out = answers[1 + sign(f_a * (a - z_a) * 2^8 - f_b * (b - z_b) * 2^8)]: equal, greater and the
 * like give 1 where it is true, else 0. Each factor rounds, as TensorFlow Lite's do; a, b, out
 * int8, broadcast. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "nano/requant.h"

#define HEADROOM (1 << 8)

/* The sign of the difference: -1, 0 or 1. */
static int32_t compared(const nano_compare_params *p, int8_t a, int8_t b) {
    const int32_t x = nano_multiply((a - p->a_zero_point) * HEADROOM, &p->a_factor);
    const int32_t y = nano_multiply((b - p->b_zero_point) * HEADROOM, &p->b_factor);
    return (x > y) - (x < y);
}

static void compare_row(const void *params, const nano_run_of_pairs *row) {
    const nano_compare_params *const p = (const nano_compare_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step)
        row->out[i] = p->answers[1 + compared(p, *a, *b)];
}

void nano_compare(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_compare_params *)params)->operands, io, compare_row, params);
}
