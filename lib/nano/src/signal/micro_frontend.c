/* micro_frontend.c - window, FFT, mel bands, noise reduction, gain control, logarithm.
 *
 * y[i] = samples[i] window[i] / 2^12, scaled up to 15 bits by a shift; |FFT|^2 summed by bands; the
 * root, shifted down again; less the noise that a running mean estimates; times a gain that falls
 * with the noise; ln. The twin in NumPy is nanotool/signal/micro_frontend.py. */
#include "nano/signal/micro_frontend.h"

#include "nano/requant.h"
#include "wide.h"

#define WINDOW_BITS 12
#define NOISE_BITS 10 /* of the estimate's fraction */
#define SHARE_BITS 14
#define GAIN_BITS 21
#define SNR_BITS 12
#define LN_2 45426 /* at 2^16 */

nano_status nano_micro_frontend_init(nano_micro_frontend *frontend,
                                     const nano_micro_frontend_params *params, nano_arena *arena) {
    if (frontend == NULL || params == NULL || arena == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_micro_frontend_params *const p = params;
    if (p->step == 0 || p->step > p->window_size || p->window_size > p->fft.size ||
        p->channels == 0)
        return NANO_ERR_ARGUMENT;
    const size_t checkpoint = nano_arena_checkpoint(arena);
    frontend->estimate =
        (uint32_t *)nano_arena_alloc(arena, p->channels * sizeof(uint32_t), sizeof(uint32_t));
    frontend->samples =
        (int16_t *)nano_arena_alloc(arena, p->window_size * sizeof(int16_t), sizeof(uint32_t));
    frontend->spectrum =
        (int16_t *)nano_arena_alloc(arena, (p->fft.size + 2u) * sizeof(int16_t), sizeof(uint32_t));
    if (frontend->estimate == NULL || frontend->samples == NULL || frontend->spectrum == NULL) {
        (void)nano_arena_restore(arena, checkpoint);
        return NANO_ERR_MEMORY;
    }
    frontend->params = params;
    nano_micro_frontend_reset(frontend);
    return NANO_OK;
}

void nano_micro_frontend_reset(nano_micro_frontend *frontend) {
    frontend->filled = 0;
    for (uint16_t c = 0; c < frontend->params->channels; c++)
        frontend->estimate[c] = 0;
}

/* --- Samples to bins -------------------------------------------------------------------------- */

/* The window, times its coefficients, into the FFT's places; the bits of all magnitudes together. A
 * magnitude of 2^15 is negative in 16 bits and does not count. */
static uint32_t windowed(const nano_micro_frontend *frontend) {
    const nano_micro_frontend_params *const p = frontend->params;
    uint32_t bits = 0, place = 0;
    for (uint32_t i = 0; i < p->fft.size; i += 2) {
        int16_t *const z = frontend->spectrum + 2 * place;
        for (uint32_t part = 0; part < 2; part++) {
            int32_t y = 0;
            if (i + part < p->window_size)
                y = (frontend->samples[i + part] * p->window[i + part]) >> WINDOW_BITS;
            bits |= (uint32_t)(y < 0 ? -y : y);
            z[part] = (int16_t)y;
        }
        place = nano_fft_next(&p->fft, place);
    }
    return bits & INT16_MAX;
}

/* The window's transform in `spectrum`; the left shift that brought the samples to 15 bits. */
static int transform(nano_micro_frontend *frontend) {
    const nano_fft *const fft = &frontend->params->fft;
    const int shift = 15 - nano_bit_length(windowed(frontend));
    for (uint32_t i = 0; i < fft->size; i++)
        frontend->spectrum[i] = (int16_t)((uint32_t)frontend->spectrum[i] << shift);
    nano_real_fft(fft, frontend->spectrum);
    return shift;
}

/* --- One channel ------------------------------------------------------------------------------ */

/* The signal less the noise, of which `estimate` becomes the newer one; 0 <= signal < 2^27. */
static uint32_t reduced(uint32_t signal, uint32_t share, uint32_t min_signal, uint32_t *estimate) {
    const uint32_t up = signal << NOISE_BITS;
    const uint64_t sum =
        nano_product(up, share) + nano_product(*estimate, (1u << SHARE_BITS) - share);
    const uint32_t noise = nano_shift_down(sum, SHARE_BITS);
    const uint32_t rest = (up - (noise < up ? noise : up)) >> NOISE_BITS;
    const uint32_t least = nano_shift_down(nano_product(signal, min_signal), SHARE_BITS);
    *estimate = noise;
    return rest > least ? rest : least;
}

/* The gain at a noise of `x`: on a quadratic over its octave. */
static int32_t gain(const int16_t *gains, uint32_t x) {
    if (x < 2)
        return gains[x];
    const int octave = nano_bit_length(x);
    const int16_t *const curve = gains + 2 + 3 * (octave - 2);
    const int32_t fraction =
        (int32_t)((octave < 11 ? x << (11 - octave) : x >> (octave - 11)) & 1023u);
    const int32_t bend = ((curve[2] * fraction) >> 5) + curve[1] * 32;
    return curve[0] + ((bend * fraction + (1 << 14)) >> 15);
}

static uint32_t gained(const nano_micro_frontend_params *p, uint32_t signal, uint32_t noise) {
    const uint64_t product = nano_product(signal, (uint32_t)gain(p->gains, noise));
    const uint32_t snr = nano_shift_down(product, GAIN_BITS - SNR_BITS - p->correction_bits);
    if (snr < 2u << SNR_BITS)
        return (snr * snr) >> (2 * SNR_BITS - 4);
    return (snr >> (SNR_BITS / 2)) - (1u << (SNR_BITS / 2));
}

/* ln x with `shift` fractional bits; 0 for 0. */
static uint32_t logarithm(const uint16_t *logs, uint32_t x, int shift) {
    if (x <= 1)
        return 0;
    const int exponent = nano_bit_length(x) - 1;
    const uint32_t fraction =
        (exponent < 16 ? x << (16 - exponent) : x >> (exponent - 16)) & 0xFFFFu;
    const uint32_t segment = fraction >> 9;
    const int32_t slope = (int32_t)logs[segment + 1] - (int32_t)logs[segment];
    const int32_t bend = (slope * (int32_t)(fraction & 511u)) >> 16;
    const uint32_t log2 = ((uint32_t)exponent << 16) + fraction + logs[segment] + (uint32_t)bend;
    const uint32_t ln = nano_shift_down(nano_product(log2, LN_2) + 0x8000u, 16);
    return ((ln << shift) + 0x8000u) >> 16;
}

/* The feature of a channel whose bands hold `energy`. */
static uint16_t feature(nano_micro_frontend *frontend, uint16_t channel, uint64_t energy,
                        int shift) {
    const nano_micro_frontend_params *const p = frontend->params;
    const uint32_t root = nano_root(energy) >> shift;
    uint32_t *const noise = &frontend->estimate[channel];
    uint32_t signal = reduced(root, channel & 1u ? p->odd : p->even, p->min_signal, noise);
    if (p->gains != NULL)
        signal = gained(p, signal, *noise);
    if (p->logs != NULL)
        signal = logarithm(p->logs, signal << p->correction_bits, p->log_shift);
    return (uint16_t)(signal < UINT16_MAX ? signal : UINT16_MAX);
}

/* Each bin gives a part of its energy to its channel, the rest to the one before. */
static void channels(nano_micro_frontend *frontend, int shift, uint16_t *features) {
    const nano_micro_frontend_params *const p = frontend->params;
    const int16_t *bin = frontend->spectrum + 2 * p->first_bin, *weight = p->weights;
    uint64_t before = 0;
    for (uint16_t band = 0; band <= p->channels; band++) {
        uint64_t own = before;
        before = 0;
        for (uint16_t i = 0; i < p->bands[band]; i++, bin += 2, weight += 2) {
            const uint32_t energy = (uint32_t)(bin[0] * bin[0]) + (uint32_t)(bin[1] * bin[1]);
            own += nano_product(energy, (uint32_t)weight[0]);
            before += nano_product(energy, (uint32_t)weight[1]);
        }
        if (band > 0)
            features[band - 1] = feature(frontend, (uint16_t)(band - 1), own, shift);
    }
}

size_t nano_micro_frontend_feed(nano_micro_frontend *frontend, const int16_t *samples, size_t n,
                                uint16_t *features, int *ready) {
    const nano_micro_frontend_params *const p = frontend->params;
    const size_t missing = (size_t)(p->window_size - frontend->filled);
    const size_t taken = n < missing ? n : missing;
    int16_t *const to = frontend->samples + frontend->filled;
    for (size_t i = 0; i < taken; i++)
        to[i] = samples[i];
    frontend->filled = (uint16_t)(frontend->filled + taken);
    *ready = taken == missing;
    if (*ready) {
        channels(frontend, transform(frontend), features);
        frontend->filled = (uint16_t)(p->window_size - p->step);
        for (uint16_t i = 0; i < frontend->filled; i++)
            frontend->samples[i] = frontend->samples[i + p->step];
    }
    return taken;
}
