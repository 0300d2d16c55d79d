/* sensor.c - scale, lengths, trend, window, FFT, energies, logarithm.
 *
 * Samples are kept in 16 bits; what is less than one of their units in a trend is kept in 8 bits
 * more. The twin in NumPy is nanotool/signal/sensor.py. */
#include "nano/signal/sensor.h"

#include "nano/requant.h"
#include "energy.h"

#define MORE_BITS 8   /* of a sample without its trend */
#define SLOPE_BITS 14 /* of the fraction of a slope */
#define ROOM_BITS 6   /* by which such a sample is shifted up before the window */
#define LOG_BITS 8    /* of the fraction of an energy's logarithm */

static uint16_t width_of(const nano_sensor_params *p) {
    return (uint16_t)(p->magnitudes + (p->magnitudes_only ? 0u : p->channels));
}

static int sound_params(const nano_sensor_params *p) {
    if (p->step == 0 || p->step > p->window_size || p->window_size > 1024 || p->channels == 0 ||
        p->channels > 32 || width_of(p) == 0)
        return 0;
    return p->fft.size == 0 || (p->window_size <= p->fft.size && p->bands != 0);
}

nano_status nano_sensor_init(nano_sensor *sensor, const nano_sensor_params *params,
                             nano_arena *arena) {
    if (sensor == NULL || params == NULL || arena == NULL || !sound_params(params))
        return NANO_ERR_ARGUMENT;
    const nano_sensor_params *const p = params;
    const size_t checkpoint = nano_arena_checkpoint(arena);
    const size_t kept = (size_t)p->window_size * width_of(p);
    const size_t bins = p->fft.size == 0 ? 0 : p->fft.size + 2u;
    sensor->spectrum = NULL;
    if (bins != 0)
        sensor->spectrum = (int32_t *)nano_arena_alloc(arena, bins * sizeof(int32_t), 4);
    sensor->history = (int16_t *)nano_arena_alloc(arena, kept * sizeof(int16_t), 2);
    sensor->sample = (int16_t *)nano_arena_alloc(arena, p->channels * sizeof(int16_t), 2);
    if ((bins != 0 && sensor->spectrum == NULL) || sensor->history == NULL ||
        sensor->sample == NULL) {
        (void)nano_arena_restore(arena, checkpoint);
        return NANO_ERR_MEMORY;
    }
    sensor->params = params;
    sensor->width = width_of(p);
    nano_sensor_reset(sensor);
    return NANO_OK;
}

void nano_sensor_reset(nano_sensor *sensor) {
    sensor->filled = 0;
    sensor->got = 0;
}

/* --- A sample --------------------------------------------------------------------------------- */

static int16_t scaled(const nano_sensor_params *p, uint16_t c, int16_t raw) {
    const int32_t y = nano_scale(raw * 65536, p->multipliers[c], p->shifts[c]);
    return (int16_t)(y > INT16_MAX ? INT16_MAX : y < INT16_MIN ? INT16_MIN : y);
}

static int16_t length(const int16_t *sample, uint32_t group) {
    uint64_t sum = 0;
    for (; group != 0; group >>= 1, sample++)
        if (group & 1u)
            sum += (uint32_t)(*sample * *sample);
    const uint32_t root = nano_root(sum);
    return (int16_t)(root > INT16_MAX ? INT16_MAX : root);
}

/* The sample that is there goes behind the others. */
static void keep(nano_sensor *sensor) {
    const nano_sensor_params *const p = sensor->params;
    int16_t *to = sensor->history + (size_t)sensor->filled * sensor->width;
    if (!p->magnitudes_only)
        for (uint16_t c = 0; c < p->channels; c++)
            *to++ = sensor->sample[c];
    for (uint16_t m = 0; m < p->magnitudes; m++)
        *to++ = length(sensor->sample, p->groups[m]);
    sensor->got = 0;
    sensor->filled++;
}

/* --- A window --------------------------------------------------------------------------------- */

/* Of one channel, with MORE_BITS and SLOPE_BITS fractional bits. The line is
 * mean + slope u, u = 2 i - (window_size - 1). */
typedef struct {
    int32_t mean, slope;
} trend;

/* The least squares: mean = sum y / n, slope = sum u y / sum u^2, and sum u^2 = (n^3 - n) / 3. */
static trend trend_of(const nano_sensor *sensor, uint16_t c) {
    const nano_sensor_params *const p = sensor->params;
    trend found = {0, 0};
    if (p->detrend == NANO_DETREND_NONE)
        return found;
    const int16_t *y = sensor->history + c;
    int32_t sum = 0, u = 1 - p->window_size;
    uint64_t moment = 0; /* of a signed number, modulo 2^64 */
    for (uint16_t i = 0; i < p->window_size; i++, y += sensor->width, u += 2) {
        sum += *y;
        moment += (uint64_t)(int64_t)(u * *y);
    }
    found.mean = nano_scale(sum, p->mean.multiplier, p->mean.shift);
    if (p->detrend == NANO_DETREND_LINEAR) {
        const int drop = p->slope_drop;
        const uint32_t low = drop == 0 ? (uint32_t)moment : nano_shift_down(moment, drop);
        found.slope = nano_scale((int32_t)low, p->slope.multiplier, p->slope.shift);
    }
    return found;
}

/* Sample `i` of channel `c` without its trend, MORE_BITS more. */
static int32_t plain(const nano_sensor *sensor, const trend *of, uint16_t c, uint16_t i) {
    const int32_t u = 2 * i + 1 - sensor->params->window_size;
    const int32_t half = 1 << (SLOPE_BITS - MORE_BITS - 1);
    const int32_t line = of->mean + ((of->slope * u + half) >> (SLOPE_BITS - MORE_BITS));
    return sensor->history[(size_t)i * sensor->width + c] * (1 << MORE_BITS) - line;
}

static void samples(const nano_sensor *sensor, uint16_t c, int16_t *features) {
    const trend of = trend_of(sensor, c);
    for (uint16_t i = 0; i < sensor->params->window_size; i++)
        features[(size_t)i * sensor->width + c] =
            nano_narrow(plain(sensor, &of, c, i), MORE_BITS, 0);
}

static int32_t windowed(const nano_sensor *sensor, const trend *of, uint16_t c, uint16_t i) {
    const nano_sensor_params *const p = sensor->params;
    if (i >= p->window_size)
        return 0;
    return nano_high_product(plain(sensor, of, c, i) * (1 << ROOM_BITS), p->window[i] * 65536);
}

static void energies(const nano_sensor *sensor, uint16_t c, int16_t *features) {
    const nano_sensor_params *const p = sensor->params;
    const trend of = trend_of(sensor, c);
    uint32_t place = 0;
    for (uint16_t i = 0; i < p->fft.size; i = (uint16_t)(i + 2)) {
        sensor->spectrum[2 * place] = windowed(sensor, &of, c, i);
        sensor->spectrum[2 * place + 1] = windowed(sensor, &of, c, (uint16_t)(i + 1));
        place = nano_fft32_next(&p->fft, place);
    }
    const int left = nano_block_fft(&p->fft, sensor->spectrum);
    const int scale = 2 * (MORE_BITS + ROOM_BITS + p->fraction + left);
    for (uint16_t b = 0; b < p->bands; b++) {
        uint64_t sum = 0;
        for (uint16_t k = p->edges[b]; k < p->edges[b + 1]; k++)
            sum += nano_bin_energy(sensor->spectrum + 2 * k);
        const int32_t log = nano_log_energy(p->logs, sum, scale, p->floor);
        features[(size_t)b * sensor->width + c] = nano_narrow(log, NANO_LN_BITS, LOG_BITS);
    }
}

/* The window's features; then what the next one has of it moves up. */
static void make(nano_sensor *sensor, int16_t *features) {
    const nano_sensor_params *const p = sensor->params;
    for (uint16_t c = 0; c < sensor->width; c++) {
        if (p->fft.size == 0)
            samples(sensor, c, features);
        else
            energies(sensor, c, features);
    }
    sensor->filled = (uint16_t)(p->window_size - p->step);
    const size_t kept = (size_t)sensor->filled * sensor->width;
    const size_t gone = (size_t)p->step * sensor->width;
    for (size_t i = 0; i < kept; i++)
        sensor->history[i] = sensor->history[gone + i];
}

size_t nano_sensor_feed(nano_sensor *sensor, const int16_t *values, size_t n, int16_t *features,
                        int *ready) {
    const nano_sensor_params *const p = sensor->params;
    size_t taken = 0;
    *ready = 0;
    while (taken < n && !*ready) {
        sensor->sample[sensor->got] = scaled(p, sensor->got, values[taken++]);
        if (++sensor->got < p->channels)
            continue;
        keep(sensor);
        *ready = sensor->filled == p->window_size;
    }
    if (*ready)
        make(sensor, features);
    return taken;
}
