/* h = f(W x + R h + b), f: tanh or relu, step by step. x: steps, I int8; h: S int8; weights: S, 1,
 * I + S int8, zero points folded into the biases. */
#include "rnn.h"

void nano_rnn(const void *params, const nano_io *io) {
    nano_rnn_with(params, io, nano_plain_sums, nano_scale);
}
