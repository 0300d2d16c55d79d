/* i, f, o = sigmoid(W x + R h + b), g = tanh(W x + R h + b); c = f c + i g; h = o tanh(c)
 * step by step; c lies in in[1]. x: steps, I int8; h: S int8; c: S int16; weights: S, 4, I + S
 * int8, zero points folded into the biases. */
#include "lstm.h"

void nano_lstm(const void *params, const nano_io *io) {
    nano_lstm_with(params, io, nano_plain_sums, nano_scale);
}
