/* r, z = sigmoid(W x + R h + b), n = tanh(W x + b + r (R h + c)); h = n + z (h - n)
 * step by step; h lies wide in in[1], and is multiplied in int8. x: steps, I int8; h: S int16, S
 * int8; weights: S, 3, I + S int8, zero points folded into the biases. */
#include "gru.h"

void nano_gru(const void *params, const nano_io *io) {
    nano_gru_with(params, io, nano_plain_sums, nano_scale);
}
