/* out = store(factor * (a - z_a) / (b - z_b)); a, b, out int8, broadcast. In TensorFlow Lite's
 * fixed point: the divisor's reciprocal, the dividend shifted to the left as far as it goes. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "nano/requant.h"
#include "../softmax/exponentials.h"

/* Zero bits of x in front, 1 <= x <= 255. */
static int zeros_in_front(int32_t x) {
    int zeros = 24;
    for (uint32_t bit = 128; ((uint32_t)x & bit) == 0; bit >>= 1)
        zeros++;
    return zeros;
}

/* factor * a / b, 1 <= b <= 255, |a| <= 255 */
static int32_t quotient(int32_t a, int32_t b, const nano_factor *factor) {
    if (a == 0)
        return 0;
    const int zeros = zeros_in_front(b);
    const int32_t fraction = (int32_t)(((uint32_t)b << zeros) - 0x80000000u);
    /* a takes as many bits as its magnitude; those of -2^k are one less */
    const int room = a > 0 ? zeros_in_front(a) - 1 : a == -1 ? 31 : zeros_in_front(-a - 1) - 1;
    const int32_t wide = (int32_t)((uint32_t)a << room);
    const int32_t whole = nano_high_product(wide, nano_one_over_one_plus(fraction));
    const int right = 31 - zeros + room - factor->shift;
    if (right > 31)
        return 0;
    return nano_rounding_shift_right(nano_high_product(whole, factor->multiplier), right);
}

static void div_row(const void *params, const nano_run_of_pairs *row) {
    const nano_div_params *const p = (const nano_div_params *)params;
    const int8_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t x = *a - p->a_zero_point, y = *b - p->b_zero_point;
        const int32_t q = quotient(y < 0 ? -x : x, y < 0 ? -y : y == 0 ? 1 : y, &p->factor);
        row->out[i] = nano_store_result(q, &p->store);
    }
}

void nano_div(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_div_params *)params)->operands, io, div_row, params);
}
