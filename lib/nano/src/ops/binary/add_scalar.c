/* add.c's function as a sum of two products and a constant, with 32-bit products alone. What is not
 * below zero is not below the clamp either, and the other way round: one comparison each. */
#include "nano/ops.h"

#include "../../broadcast.h"

static inline int32_t sum_of(const nano_add_scalar_params *p, int32_t a, int32_t b) {
    const int32_t sum = a * p->a_scale + (b * p->b_scale + p->offset);
    if (sum < p->zero) {
        const int32_t q = (sum - p->below) >> p->right;
        return q < p->min ? p->min : q;
    }
    const int32_t q = sum >> p->right;
    return q > p->max ? p->max : q;
}

static void add_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_scalar_params copy = *(const nano_add_scalar_params *)params;
    const nano_add_scalar_params *const p = &copy; /* no store can change it */
    const uint32_t a_step = row->a_step, b_step = row->b_step;
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out, *const end = out + row->n;
    if (a_step == 1 && b_step == 1) {
        for (; end - out >= 4; a += 4, b += 4, out += 4) {
            out[0] = (int8_t)sum_of(p, a[0], b[0]);
            out[1] = (int8_t)sum_of(p, a[1], b[1]);
            out[2] = (int8_t)sum_of(p, a[2], b[2]);
            out[3] = (int8_t)sum_of(p, a[3], b[3]);
        }
    }
    for (; out != end; a += a_step, b += b_step)
        *out++ = (int8_t)sum_of(p, *a, *b);
}

void nano_add_scalar(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_scalar_params *)params)->operands, io, add_row, params);
}
