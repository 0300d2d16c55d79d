/* nano/signal/mel.h - logarithmic mel energies and MFCC of 16-bit sound, in integers.
 *
 *     band[b]        = ln max(floor, sum_k weight[b][k] |FFT(window * x)[k]|^2),  x = samples /
 * 2^15 coefficient[c] = sum_b cosine[c][b] band[b]                                 (DCT-II)
 *
 * docs/signal.md has the conventions, nanotool.signal.Mel the same in Python. */
#ifndef NANO_SIGNAL_MEL_H
#define NANO_SIGNAL_MEL_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/signal/fft32.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers and tables, const data in flash; nanotool makes it. */
typedef struct {
    nano_fft32 fft;
    uint16_t window_size;  /* samples, at most fft.size */
    uint16_t step;         /* samples from one window to the next, 1..window_size */
    const int16_t *window; /* [window_size], 32767 for 1 */
    int16_t preemphasis;   /* y[i] = x[i] - x[i - 1] preemphasis / 2^15; 0: none */
    uint16_t bands;
    const uint16_t *first;   /* [bands]: first bin */
    const uint16_t *bins;    /* [bands]: how many */
    const uint16_t *weights; /* of all bands' bins, one behind the other, times 2^weight_bits */
    int8_t weight_bits;
    const uint16_t *logs;   /* [129]: log2(1 + k/128) - k/128, 16 fractional bits */
    int32_t floor;          /* log2 of what an energy is at least, 16 fractional bits */
    uint16_t coefficients;  /* 0: the bands come out */
    const int16_t *cosines; /* [coefficients][bands], 15 fractional bits; NULL: no coefficients */
    uint8_t fraction;       /* fractional bits of what comes out, 1..10 */
} nano_mel_params;

/* One front end at work. The fields are the library's. */
typedef struct {
    const nano_mel_params *params;
    int16_t *samples;  /* [1 + window_size]: the one before the window, and those that are there */
    int32_t *spectrum; /* [fft.size + 2] */
    int16_t *logs;     /* [bands] */
    uint16_t filled;   /* how many samples of the window are there */
} nano_mel;

/* Bytes of arena that a front end takes, at most, its struct included. */
#define NANO_MEL_ROOM(window_size, fft_size, bands)                                                \
    (sizeof(nano_mel) + 2u * (window_size) + 4u * (fft_size) + 2u * (bands) + 32u)

/* Take what `params` needs from `arena` and begin in silence. NANO_ERR_ARGUMENT, NANO_ERR_MEMORY;
 * then nothing is taken. `params` and the arena's bytes must outlive `mel`. */
nano_status nano_mel_init(nano_mel *mel, const nano_mel_params *params, nano_arena *arena);

/* Forget all samples. */
void nano_mel_reset(nano_mel *mel);

/* Take samples, at most `n`, up to the end of the window that they make whole; returns how many
 * were taken. `*ready` is 1 if `features` [coefficients, or bands] then holds that window's, else 0
 * and `features` is as it was. */
size_t nano_mel_feed(nano_mel *mel, const int16_t *samples, size_t n, int16_t *features,
                     int *ready);

#ifdef __cplusplus
}
#endif
#endif
