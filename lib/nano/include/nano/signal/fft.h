/* nano/signal/fft.h - the FFT of real int16 samples, in place, without a table but the caller's. */
#ifndef NANO_SIGNAL_FFT_H
#define NANO_SIGNAL_FFT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a transform of one size reads; nanotool makes the tables (nanotool.signal.fft_tables). All
 * numbers are Q15 with 32767 for 1: floor(0.5 + 32767 x). */
typedef struct {
    uint16_t size;            /* real points: a power of two, 64..1024 */
    const int16_t *twiddles;  /* [size / 2][cos, sin] of -2 pi k / (size / 2) */
    const int16_t *unpacking; /* [size / 4][cos, sin] of -pi ((k + 1) / (size / 2) + 1/2) */
} nano_fft;

/* The first two samples of the input belong at data[0] and data[1]; where those of a pair belong at
 * 2 place and 2 place + 1, the next pair's place is nano_fft_next(). */
uint32_t nano_fft_next(const nano_fft *fft, uint32_t place);

/* Transform `data` [size + 2] in place: in, samples where nano_fft_next() says (the last two are
 * not read); out, size / 2 + 1 bins [re, im], divided by `size`. Every stage is scaled and rounded
 * so that none can leave int16; a sum of rounded halves that does wraps. */
void nano_real_fft(const nano_fft *fft, int16_t *data);

#ifdef __cplusplus
}
#endif
#endif
