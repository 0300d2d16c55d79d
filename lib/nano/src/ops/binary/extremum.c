/* out = clamp(max(a, b)), out = clamp(min(a, b)); a, b, out int8, broadcast. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "nano/requant.h"

static void maximum_row(const void *params, const nano_run_of_pairs *row) {
    const nano_extremum_params *const p = (const nano_extremum_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step)
        row->out[i] = nano_clamp(*a > *b ? *a : *b, p->min, p->max);
}

static void minimum_row(const void *params, const nano_run_of_pairs *row) {
    const nano_extremum_params *const p = (const nano_extremum_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step)
        row->out[i] = nano_clamp(*a < *b ? *a : *b, p->min, p->max);
}

void nano_maximum(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_extremum_params *)params)->operands, io, maximum_row, params);
}

void nano_minimum(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_extremum_params *)params)->operands, io, minimum_row, params);
}
