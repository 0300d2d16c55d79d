/* rnn.c's equations, four terms at a time. */
#include "rnn.h"

#include "../../recur_dsp.h"

#if NANO_SIMD

void nano_rnn_dsp(const void *params, const nano_io *io) {
    nano_rnn_with(params, io, nano_dots_dsp, nano_gate_scale_dsp);
}

#endif
