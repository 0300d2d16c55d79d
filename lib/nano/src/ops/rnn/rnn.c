/* h = f(W x + R h + b), f: tanh or relu, step by step. x: steps, I int8; h: S int8; weights: S, 1,
 * I + S int8, zero points folded into the biases. */
#include "rnn.h"

void nano_rnn(const void *params, const nano_io *io) {
    const nano_gates *const g = &((const nano_rnn_params *)params)->gates;
    nano_first_hidden(g, io, (int8_t *)io->scratch);
    nano_recur(params, g, io, NANO_RNN_GATES, nano_rnn_unit, NULL);
}
