/* nano/signal/sensor.h - windows of a sensor with several channels (an accelerometer's axes, a
 * gyroscope's, ...), in integers: the samples themselves, or logarithms of their energies.
 *
 *     y[c]     = raw[c] scale[c], of each sample; then lengths of vectors of them, if asked for
 *     x[i][c]  = y[i][c], less the window's mean or straight line of channel c, if asked for
 *     feature  = x[i][c], or ln max(floor, sum over the bins of band b of |FFT(hann x)[c]|^2)
 *
 * docs/signal.md has the conventions, nanotool.signal.Sensor the same in Python. */
#ifndef NANO_SIGNAL_SENSOR_H
#define NANO_SIGNAL_SENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/ops/types.h"
#include "nano/signal/fft32.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NANO_DETREND_NONE, NANO_DETREND_CONSTANT, NANO_DETREND_LINEAR };

/* Numbers and tables, const data in flash; nanotool makes it. */
typedef struct {
    uint16_t channels;       /* values of a sample, one behind the other, 1..32 */
    uint16_t magnitudes;     /* lengths of vectors, each one more channel */
    const uint32_t *groups;  /* [magnitudes]: bit c: channel c is of the vector; NULL: none */
    uint8_t magnitudes_only; /* 1: the channels themselves are left out behind them */
    uint16_t window_size;    /* samples, at most 1024, and at most fft.size */
    uint16_t step;           /* samples from one window to the next, 1..window_size */
    const int32_t
        *multipliers;      /* [channels]: raw 2^16 multiplier 2^(shift - 31) is real 2^fraction */
    const int8_t *shifts;  /* [channels], -31..0 */
    int8_t fraction;       /* fractional bits of what is kept of a sample */
    uint8_t detrend;       /* NANO_DETREND_... */
    nano_factor mean;      /* 2^8 / window_size */
    nano_factor slope;     /* 2^(14 + slope_drop) 3 / (window_size^3 - window_size) */
    uint8_t slope_drop;    /* lowest bits of the moment that are left out */
    nano_fft32 fft;        /* size 0: no FFT, the samples come out */
    const int16_t *window; /* [window_size], 32767 for 1; NULL without an FFT */
    uint16_t bands;        /* of a channel; without an FFT 0 */
    const uint16_t *edges; /* [bands + 1]: band b has the bins edges[b] .. edges[b + 1] - 1 */
    const uint16_t *logs;  /* [129]: log2(1 + k/128) - k/128, 16 fractional bits */
    int32_t floor;         /* log2 of what an energy is at least, 16 fractional bits */
} nano_sensor_params;

/* One front end at work. The fields are the library's. */
typedef struct {
    const nano_sensor_params *params;
    int16_t *sample;   /* [channels]: the newest, as far as it is there */
    int16_t *history;  /* [window_size][width]: the window, width being the channels kept */
    int32_t *spectrum; /* [fft.size + 2]; NULL without an FFT */
    uint16_t width;
    uint16_t filled; /* samples in `history` */
    uint16_t got;    /* values in `sample` */
} nano_sensor;

/* Bytes of arena that a front end takes, at most, its struct included. */
#define NANO_SENSOR_ROOM(channels, width, window_size, fft_size)                                   \
    (sizeof(nano_sensor) + 2u * (channels) + 2u * (width) * (window_size) + 4u * (fft_size) + 32u)

/* Take what `params` needs from `arena` and begin. NANO_ERR_ARGUMENT, NANO_ERR_MEMORY; then nothing
 * is taken. `params` and the arena's bytes must outlive `sensor`. */
nano_status nano_sensor_init(nano_sensor *sensor, const nano_sensor_params *params,
                             nano_arena *arena);

/* Forget all samples, a half one included. */
void nano_sensor_reset(nano_sensor *sensor);

/* Take values, the channels of a sample one behind the other, at most `n`, up to the end of the
 * window that they make whole; a sample may come in parts. Returns how many were taken. `*ready` is
 * 1 if `features` then holds that window's, [window_size][width] or [bands][width], else 0 and
 * `features` is as it was. */
size_t nano_sensor_feed(nano_sensor *sensor, const int16_t *values, size_t n, int16_t *features,
                        int *ready);

#ifdef __cplusplus
}
#endif
#endif
