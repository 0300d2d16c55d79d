/* gru.c's equations, all gates at a time. */
#include "gru.h"

#include "../../recur_dsp.h"

#if NANO_SIMD

void nano_gru_dsp(const void *params, const nano_io *io) {
    nano_gru_with(params, io, nano_dots_dsp, nano_gate_scale_dsp);
}

#endif
