/* energy.h - spectra in block floating point, and the logarithms of their energies (internal). */
#ifndef NANO_SIGNAL_ENERGY_H
#define NANO_SIGNAL_ENERGY_H

#include "nano/signal/fft32.h"
#include "wide.h"

#define NANO_LN_BITS 24 /* of the fraction of nano_log_energy() */

/* Scale `data` [fft->size + 2], samples where nano_fft32_next() says, by the power of two that
 * brings them to what the FFT takes at most, and transform it. Returns the power. */
int nano_block_fft(const nano_fft32 *fft, int32_t *data);

/* |X|^2 of a bin [re, im]. */
static inline uint64_t nano_bin_energy(const int32_t *bin) {
    const uint32_t re = bin[0] < 0 ? 0u - (uint32_t)bin[0] : (uint32_t)bin[0];
    const uint32_t im = bin[1] < 0 ? 0u - (uint32_t)bin[1] : (uint32_t)bin[1];
    return nano_product(re, re) + nano_product(im, im);
}

/* ln of energy / 2^scale with 24 fractional bits, at least that of `floor`, a log2 with 16. `logs`
 * [129]: log2(1 + k/128) - k/128, 16 fractional bits. */
int32_t nano_log_energy(const uint16_t *logs, uint64_t energy, int scale, int32_t floor);

/* From `from` fractional bits to `to` < `from`, rounded, halves up, and clamped. */
static inline int16_t nano_narrow(int32_t x, int from, int to) {
    const int32_t rounded = (x + (1 << (from - to - 1))) >> (from - to);
    return (int16_t)(rounded > INT16_MAX ? INT16_MAX : rounded < INT16_MIN ? INT16_MIN : rounded);
}

#endif
