/* out = clamp(max(a, b)), out = clamp(min(a, b)); a, b, out int16, broadcast. */
#include "nano/ops.h"

#include "../../broadcast_int16.h"
#include "../../requant_int16.h"

static void maximum_row(const void *params, const nano_run_of_int16 *row) {
    const nano_extremum_int16_params *const p = (const nano_extremum_int16_params *)params;
    const int16_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step)
        row->out[i] = nano_clamp_int16(*a > *b ? *a : *b, p->min, p->max);
}

static void minimum_row(const void *params, const nano_run_of_int16 *row) {
    const nano_extremum_int16_params *const p = (const nano_extremum_int16_params *)params;
    const int16_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step)
        row->out[i] = nano_clamp_int16(*a < *b ? *a : *b, p->min, p->max);
}

void nano_maximum_int16(const void *params, const nano_io *io) {
    const nano_extremum_int16_params *const p = (const nano_extremum_int16_params *)params;
    nano_broadcast_int16(&p->operands, io, maximum_row, params);
}

void nano_minimum_int16(const void *params, const nano_io *io) {
    const nano_extremum_int16_params *const p = (const nano_extremum_int16_params *)params;
    nano_broadcast_int16(&p->operands, io, minimum_row, params);
}
