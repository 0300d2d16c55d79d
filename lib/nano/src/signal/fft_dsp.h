/* fft_dsp.h - the FFT with the DSP instructions of Armv7E-M: the same bytes as fft.c (internal). */
#ifndef NANO_SIGNAL_FFT_DSP_H
#define NANO_SIGNAL_FFT_DSP_H

#include "nano/signal/fft.h"

/* nano_real_fft(), where simd.h defines NANO_SIMD as 1. */
void nano_real_fft_dsp(const nano_fft *fft, int16_t *data);

#endif
