/* lstm.c's equations, all gates at a time. */
#include "lstm.h"

#include "../../recur_dsp.h"

#if NANO_SIMD

void nano_lstm_dsp(const void *params, const nano_io *io) {
    nano_lstm_with(params, io, nano_dots_dsp, nano_gate_scale_dsp);
}

#endif
