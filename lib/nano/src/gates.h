/* gates.h - what recurrent layers share (internal): gates in 16 bits, TensorFlow Lite's arithmetic.
 *
 * "Thirds" are units of 1 / (3 * 2^12), in which the table of sigmoid has its steps. */
#ifndef NANO_GATES_H
#define NANO_GATES_H

#include <stdint.h>

/* sigmoid(x) and tanh(x), 15 bits behind the point: 0..32767 and -32768..32767. x: thirds. */
int32_t nano_sigmoid_of_thirds(int32_t x);
int32_t nano_tanh_of_thirds(int32_t x);

/* 3 * x * 2^shift, halves up; x: int16, shift: -31..14 */
static inline int32_t nano_shifted_thirds(int32_t x, int shift) {
    if (shift >= 0)
        return x * (int32_t)((uint32_t)3 << shift);
    return (x * 3 + (int32_t)((uint32_t)1 << (-shift - 1))) >> -shift;
}

static inline int32_t nano_saturate_int16(int32_t x) {
    return x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x;
}

#endif
