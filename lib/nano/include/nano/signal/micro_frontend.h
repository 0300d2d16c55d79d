/* nano/signal/micro_frontend.h - from 16-bit sound to logarithmic mel energies, in integers.
 *
 *     static const nano_micro_frontend_params sound = { ... };  // nanotool makes it
 *     nano_micro_frontend ears;
 *     nano_micro_frontend_init(&ears, &sound, &arena);
 *     uint16_t frame[40];
 *     while (n > 0) {
 *         int ready;
 *         const size_t taken = nano_micro_frontend_feed(&ears, samples, n, frame, &ready);
 *         samples += taken, n -= taken;
 *         if (ready)
 *             use(frame);
 *     }
 *
 * Value for value what TensorFlow Lite Micro's and ESPHome's wake words are fed with;
 * docs/signal.md has the formulas, nanotool.signal.MicroFrontend the same in Python. */
#ifndef NANO_SIGNAL_MICRO_FRONTEND_H
#define NANO_SIGNAL_MICRO_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/signal/fft.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers and tables, const data in flash. */
typedef struct {
    nano_fft fft;
    uint16_t window_size;  /* samples of a window, at most fft.size */
    uint16_t step;         /* samples from one window to the next, 1..window_size */
    const int16_t *window; /* [window_size], 12 fractional bits, at most 1 */
    uint16_t channels;     /* mel bands that come out */
    uint16_t first_bin;    /* of the FFT that is in a band */
    const uint16_t *bands; /* [channels + 1]: bins of each band, one behind the other */
    const int16_t
        *weights;         /* [bins][2], 12 fractional bits: to a bin's channel, to the one before */
    const int16_t *gains; /* [2 + 3 * 31]: gain of a noise of 0, of 1, then a quadratic (y0, a1,
                           * a2) an octave; NULL: no gain control */
    const uint16_t *logs; /* [129]: log2(1 + k/128) - k/128, 16 fractional bits; NULL: no log */
    uint16_t even;        /* share of a frame in the noise estimate of channels 0, 2, ..., */
    uint16_t odd;         /* of channels 1, 3, ..., */
    uint16_t min_signal;  /* and of a signal that is left at least: 14 fractional bits */
    uint8_t correction_bits; /* log2(fft.size) - 6 */
    uint8_t log_shift;       /* fractional bits of the logarithm, 0..8 */
} nano_micro_frontend_params;

/* One front end at work. The fields are the library's. */
typedef struct {
    const nano_micro_frontend_params *params;
    int16_t *samples;   /* [window_size]: those of the next window that are there */
    int16_t *spectrum;  /* [fft.size + 2] */
    uint32_t *estimate; /* [channels]: noise, 10 fractional bits */
    uint16_t filled;    /* how many are there */
} nano_micro_frontend;

/* Bytes of arena that a front end takes, at most, its struct included. */
#define NANO_MICRO_FRONTEND_ROOM(window_size, fft_size, channels)                                  \
    (sizeof(nano_micro_frontend) + 2u * (window_size) + 2u * (fft_size) + 4u * (channels) + 24u)

/* Take what `params` needs from `arena` (2 window_size + 2 fft.size + 4 channels bytes and a few)
 * and begin in silence. NANO_ERR_ARGUMENT, NANO_ERR_MEMORY; then nothing is taken. `params` and the
 * arena's bytes must outlive `frontend`. */
nano_status nano_micro_frontend_init(nano_micro_frontend *frontend,
                                     const nano_micro_frontend_params *params, nano_arena *arena);

/* Forget samples and noise. */
void nano_micro_frontend_reset(nano_micro_frontend *frontend);

/* Take samples, at most `n`, up to the end of the window that they make whole; returns how many
 * were taken. `*ready` is 1 if `features` [channels] then holds that window's energies, else 0 and
 * `features` is as it was. */
size_t nano_micro_frontend_feed(nano_micro_frontend *frontend, const int16_t *samples, size_t n,
                                uint16_t *features, int *ready);

#ifdef __cplusplus
}
#endif
#endif
