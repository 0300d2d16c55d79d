/* mel.c - pre-emphasis, window, FFT, mel bands, logarithm, cosine transform.
 *
 * A window is scaled by a power of two to what the FFT takes at most; logarithms take it off again.
 * The twin in NumPy is nanotool/signal/mel.py. */
#include "nano/signal/mel.h"

#include "nano/requant.h"
#include "energy.h"

#define SAMPLE_BITS 30  /* a windowed sample is its real value times 2^30 */
#define DROPPED_BITS 14 /* of energies, so that weighted sums fit 64 bits */
#define LOG_BITS 10     /* of the fraction of what the cosines take */

nano_status nano_mel_init(nano_mel *mel, const nano_mel_params *params, nano_arena *arena) {
    if (mel == NULL || params == NULL || arena == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_mel_params *const p = params;
    if (p->step == 0 || p->step > p->window_size || p->window_size > p->fft.size || p->bands == 0)
        return NANO_ERR_ARGUMENT;
    const size_t checkpoint = nano_arena_checkpoint(arena);
    mel->spectrum = (int32_t *)nano_arena_alloc(arena, (p->fft.size + 2u) * sizeof(int32_t), 4);
    mel->samples = (int16_t *)nano_arena_alloc(arena, (p->window_size + 1u) * sizeof(int16_t), 2);
    mel->logs = (int16_t *)nano_arena_alloc(arena, p->bands * sizeof(int16_t), 2);
    if (mel->spectrum == NULL || mel->samples == NULL || mel->logs == NULL) {
        (void)nano_arena_restore(arena, checkpoint);
        return NANO_ERR_MEMORY;
    }
    mel->params = params;
    nano_mel_reset(mel);
    return NANO_OK;
}

void nano_mel_reset(nano_mel *mel) {
    mel->filled = 0;
    mel->samples[0] = 0;
}

/* Sample `i` of the window: 32 bits, of the real value times 2^30. */
static int32_t windowed(const nano_mel *mel, uint32_t i) {
    const nano_mel_params *const p = mel->params;
    if (i >= p->window_size)
        return 0;
    const int32_t y = mel->samples[i + 1] * 32768 - mel->samples[i] * p->preemphasis;
    return nano_high_product(y, p->window[i] * 65536);
}

/* The spectrum of the window, times 2^(SAMPLE_BITS + the shift that is returned). */
static int transform(const nano_mel *mel) {
    const nano_fft32 *const fft = &mel->params->fft;
    uint32_t place = 0;
    for (uint32_t i = 0; i < fft->size; i += 2) {
        mel->spectrum[2 * place] = windowed(mel, i);
        mel->spectrum[2 * place + 1] = windowed(mel, i + 1);
        place = nano_fft32_next(fft, place);
    }
    return nano_block_fft(fft, mel->spectrum);
}

/* ln of band `b`'s energy with 24 fractional bits; `weights` are its own. */
static int32_t band(const nano_mel *mel, uint16_t b, const uint16_t *weights, int left) {
    const nano_mel_params *const p = mel->params;
    const int32_t *bin = mel->spectrum + 2 * p->first[b];
    uint64_t sum = 0;
    for (uint16_t i = 0; i < p->bins[b]; i++, bin += 2) {
        const uint64_t energy = nano_bin_energy(bin);
        const uint32_t high = (uint32_t)(energy >> 32) >> DROPPED_BITS;
        sum += nano_product(nano_shift_down(energy, DROPPED_BITS), weights[i]);
        sum += (uint64_t)(high * weights[i]) << 32;
    }
    const int scale = p->weight_bits + 2 * (SAMPLE_BITS + left) - DROPPED_BITS;
    return nano_log_energy(p->logs, sum, scale, p->floor);
}

/* Products with 25 fractional bits are summed with 18. */
static void cosines(const nano_mel *mel, int16_t *features) {
    const nano_mel_params *const p = mel->params;
    const int16_t *cosine = p->cosines;
    for (uint16_t c = 0; c < p->coefficients; c++) {
        int32_t sum = 0;
        for (uint16_t b = 0; b < p->bands; b++)
            sum += (mel->logs[b] * *cosine++ + (1 << 6)) >> 7;
        features[c] = nano_narrow(sum, LOG_BITS + 8, p->fraction);
    }
}

static void bands(const nano_mel *mel, int16_t *features) {
    const nano_mel_params *const p = mel->params;
    const int left = transform(mel);
    const uint16_t *weights = p->weights;
    for (uint16_t b = 0; b < p->bands; b++) {
        const int32_t log = band(mel, b, weights, left);
        weights += p->bins[b];
        if (p->coefficients != 0)
            mel->logs[b] = nano_narrow(log, NANO_LN_BITS, LOG_BITS);
        else
            features[b] = nano_narrow(log, NANO_LN_BITS, p->fraction);
    }
    cosines(mel, features);
}

size_t nano_mel_feed(nano_mel *mel, const int16_t *samples, size_t n, int16_t *features,
                     int *ready) {
    const nano_mel_params *const p = mel->params;
    const size_t missing = (size_t)(p->window_size - mel->filled);
    const size_t taken = n < missing ? n : missing;
    int16_t *const to = mel->samples + 1 + mel->filled;
    for (size_t i = 0; i < taken; i++)
        to[i] = samples[i];
    mel->filled = (uint16_t)(mel->filled + taken);
    *ready = taken == missing;
    if (*ready) {
        bands(mel, features);
        mel->filled = (uint16_t)(p->window_size - p->step);
        for (uint16_t i = 0; i <= mel->filled; i++)
            mel->samples[i] = mel->samples[i + p->step];
    }
    return taken;
}
