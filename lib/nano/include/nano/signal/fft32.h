/* nano/signal/fft32.h - the FFT of real samples in 32 bits, in place: where quiet bands beside loud
 * ones count. nano/signal/fft.h is smaller, and rounds to 16 bits. */
#ifndef NANO_SIGNAL_FFT32_H
#define NANO_SIGNAL_FFT32_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a transform of one size reads; nanotool makes it (nanotool.signal.fft32.fft32_table). */
typedef struct {
    uint16_t size;        /* real points: a power of two, 64..1024 */
    const int32_t *turns; /* [size / 2][cos, sin] of -2 pi k / size, 2^31 - 1 for 1 */
} nano_fft32;

/* The first two samples of the input belong at data[0] and data[1]; where those of a pair belong at
 * 2 place and 2 place + 1, the next pair's place is nano_fft32_next(). */
uint32_t nano_fft32_next(const nano_fft32 *fft, uint32_t place);

/* Transform `data` [size + 2] in place: in, samples where nano_fft32_next() says, of magnitudes up
 * to 2^29 / size (the last two are not read); out, size / 2 + 1 bins [re, im], sums without a
 * factor. Products are rounded to whole numbers: a bin is off by 20 units at most. */
void nano_real_fft32(const nano_fft32 *fft, int32_t *data);

#ifdef __cplusplus
}
#endif
#endif
