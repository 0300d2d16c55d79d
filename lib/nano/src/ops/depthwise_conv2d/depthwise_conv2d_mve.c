/* depthwise_conv2d.c's equation for 3 x 3 taps and one output a channel.
 *
 * Four lines of the image stand side by side in a plane: a word for each place along them, a line a
 * byte. So 16 bytes are a patch of 4 x 4 inputs, which holds four whole windows, or with stride 2
 * one; VMLADAV makes an output of it. The weights of a window stand where its inputs are in the
 * patch. Next to each other are planes of lines 0..3, 2..5, 4..7, ...: bands. */
#include "nano/ops.h"

#include "../../requant_mve.h"

#if NANO_MVE

/* So that the two kernels are compiled apart. */
#if defined(__GNUC__)
#define FORCED_INLINE inline __attribute__((always_inline))
#else
#define FORCED_INLINE inline
#endif

#define CHANNELS 8 /* whose planes are made together */

/* Rows, or columns, of the image as lines. */
typedef struct {
    uint32_t in_lines, out_lines;
    uint32_t in_n, out_n; /* pixels of a line */
    uint32_t pad_lines, pad;
    uint32_t in_line_step, in_step, out_line_step, out_step; /* in bytes */
    uint32_t stride;
    uint32_t band_lines; /* outputs' lines of a band */
    uint32_t bands;      /* that are computed together */
    uint32_t band_bytes; /* of one in a plane */
    uint32_t plane;      /* bytes a channel */
    int8_t *planes;      /* [8][bands][pitch][4] */
    int8_t zero[CHANNELS];
} geometry;

static void look(const nano_depthwise_conv2d_mve_params *p, geometry *g) {
    const nano_window *const w = &p->window;
    const uint32_t c = w->in_c, columns = p->columns;
    g->stride = w->stride_h;
    g->band_lines = g->stride == 1 ? 2 : 1;
    g->bands = p->bands;
    g->band_bytes = 4u * p->pitch;
    g->plane = g->bands * g->band_bytes;
    g->in_lines = columns ? w->in_w : w->in_h;
    g->out_lines = columns ? w->out_w : w->out_h;
    g->in_n = columns ? w->in_h : w->in_w;
    g->out_n = columns ? w->out_h : w->out_w;
    g->pad_lines = columns ? w->pad_left : w->pad_top;
    g->pad = columns ? w->pad_top : w->pad_left;
    g->in_line_step = columns ? c : c * w->in_w;
    g->in_step = columns ? c * w->in_w : c;
    g->out_line_step = columns ? c : c * w->out_w;
    g->out_step = columns ? c * w->out_w : c;
    for (uint32_t k = 0; k < CHANNELS; k++)
        g->zero[k] = (int8_t)p->in_zero_point;
}

/* --- Planes --- */

/* A line of n pixels, `step` apart, into both planes that hold it. */
static void gather_line(const int8_t *in, uint32_t step, uint32_t n, uint32_t plane, int8_t *out,
                        int8_t *also) {
    const nano_places places = nano_places_of(plane);
    for (; n > 0; n--, in += step, out += 4, also += 4) {
        const nano_shorts pixel = nano_load8(in);
        nano_scatter8(out, places, pixel);
        nano_scatter8(also, places, pixel);
    }
}

/* The last band's lines 2 and 3 are the first ones of the band behind it. */
static void keep_lines(const geometry *g) {
    int8_t *first = g->planes;
    for (uint32_t k = 0; k < CHANNELS; k++, first += g->plane) {
        const int8_t *const last = first + g->plane - g->band_bytes;
        uint32_t i = 0;
        for (; i + 16 <= g->band_bytes; i += 16)
            nano_store16(first + i, nano_double_high(nano_load16(last + i)));
        if (i < g->band_bytes)
            nano_store_few(first + i, nano_double_high(nano_load_few(last + i, g->band_bytes - i)),
                           g->band_bytes - i);
    }
}

/* Bring what `count` bands from `first` on need into the planes, from eight channels of the image
 * at `in`. Bands follow on each other. */
static void gather(const geometry *g, const int8_t *in, uint32_t first, uint32_t count) {
    if (first > 0)
        keep_lines(g);
    for (uint32_t i = first > 0 ? 2 : 0; i < 2 * count + 2; i++) {
        const uint32_t line = 2 * first + i - g->pad_lines; /* may be "negative" */
        int8_t *const begin = g->planes + 4 * g->pad + i % 2;
        int8_t *const low =
            begin + (i < 2 * count ? i / 2 : i / 2 - 1) * g->band_bytes + (i < 2 * count ? 0 : 2);
        int8_t *const high = i < 2 ? low : begin + (i / 2 - 1) * g->band_bytes + 2;
        if (line < g->in_lines)
            gather_line(in + line * g->in_line_step, g->in_step, g->in_n, g->plane, low, high);
        else
            gather_line(g->zero, 0, g->in_n, g->plane, low, high);
    }
}

/* --- Outputs --- */

/* How a channel's sums become outputs. */
typedef struct {
    int32_t bias, multiplier, shift, zero_point;
} scaling;

static FORCED_INLINE nano_words scale(scaling s, nano_words sums, int relu) {
    nano_words h = nano_high4_all(nano_add4_all(sums, s.bias), s.multiplier);
    if (!relu)
        h = nano_add4(h, nano_sign4(h));
    return nano_saturate4(nano_add4_all(nano_round4_all(h, s.shift), s.zero_point));
}

static FORCED_INLINE nano_words four_sums(nano_bytes x, nano_bytes w0, nano_bytes w1, nano_bytes w2,
                                          nano_bytes w3) {
    return nano_words_of(nano_dot16(x, w0), nano_dot16(x, w1), nano_dot16(x, w2),
                         nano_dot16(x, w3));
}

/* Stride 1, two lines of n outputs: windows of lines 0..2 and 1..3 of a patch, each at the first
 * place and the second one. The last patch of an odd number overlaps the one before it. Where there
 * is only one line, or one place, it is computed twice. */
static FORCED_INLINE void two_lines(scaling s, const int8_t *patch, nano_bytes w, int8_t *out,
                                    uint32_t step, uint32_t line, uint32_t n, int relu) {
    if (n == 1)
        step = 0;
    const nano_words places =
        nano_words_of(0, (int32_t)step, (int32_t)line, (int32_t)(line + step));
    const nano_bytes w0 = w, w1 = n > 1 ? nano_up_a_word(w0) : w0;
    const nano_bytes w2 = line > 0 ? nano_up_in_words(w0) : w0;
    const nano_bytes w3 = line > 0 ? nano_up_in_words(w1) : w1;
    for (uint32_t left = n / 2; left > 0; left--, patch += 8, out += 2 * step)
        nano_scatter4(out, places, scale(s, four_sums(nano_load16(patch), w0, w1, w2, w3), relu));
    if (n % 2 == 0)
        return;
    const nano_bytes last = nano_load16(n > 1 ? patch - 4 : patch);
    nano_scatter4(n > 1 ? out - step : out, places,
                  scale(s, four_sums(last, w0, w1, w2, w3), relu));
}

/* Stride 2, a line of n outputs. */
static FORCED_INLINE void one_line(scaling s, const int8_t *patch, nano_bytes w, int8_t *out,
                                   uint32_t step, uint32_t n, int relu) {
    const int32_t to = (int32_t)step;
    const nano_words places = nano_words_of(0, to, 2 * to, 3 * to);
    for (; n > 0; n -= n < 4 ? n : 4, patch += 32, out += 4 * step) {
        const nano_words sums = nano_words_of(
            nano_dot16(nano_load16(patch), w), nano_dot16(nano_load16(patch + 8), w),
            nano_dot16(nano_load16(patch + 16), w), nano_dot16(nano_load16(patch + 24), w));
        nano_scatter4_few(out, places, scale(s, sums, relu), n);
    }
}

/* Lines line..line + n - 1 of channel k from its plane. */
static FORCED_INLINE void outputs(const geometry *g, const nano_depthwise_conv2d_mve_params *p,
                                  uint32_t k, const int8_t *plane, int8_t *out, uint32_t n,
                                  int relu) {
    const int32_t *const scales = p->scales + 3 * k;
    const scaling s = {scales[0], scales[1], scales[2], p->store.zero_point};
    const nano_bytes w = nano_load_few(p->weights + 12 * k, 12);
    const uint32_t line = g->out_line_step, step = g->out_step;
    if (g->stride == 2) {
        for (; n > 0; n--, plane += g->band_bytes, out += line)
            one_line(s, plane, w, out, step, g->out_n, relu);
        return;
    }
    for (; n > 0; n -= n < 2 ? n : 2, plane += g->band_bytes, out += 2 * line)
        two_lines(s, plane, w, out, step, n > 1 ? line : 0, g->out_n, relu);
}

/* All pixels into `out`, which is `in` or does not touch it. */
static FORCED_INLINE void convolve(const geometry *g, const nano_depthwise_conv2d_mve_params *p,
                                   const int8_t *in, int8_t *out, int relu) {
    const uint32_t channels = p->window.in_c, most = g->bands * g->band_lines;
    for (uint32_t c = 0; c < channels; c += CHANNELS) {
        /* The last eight again, if fewer are left: those that are done stay as they are. */
        const uint32_t base = c + CHANNELS <= channels ? c : channels - CHANNELS;
        for (uint32_t line = 0; line < g->out_lines; line += most) {
            const uint32_t left = g->out_lines - line, n = left < most ? left : most;
            gather(g, in + base, line / g->band_lines, (n + g->band_lines - 1) / g->band_lines);
            for (uint32_t k = c; k < base + CHANNELS; k++)
                outputs(g, p, k, g->planes + (k - base) * g->plane,
                        out + line * g->out_line_step + k, n, relu);
        }
    }
}

static FORCED_INLINE void depthwise(const nano_depthwise_conv2d_mve_params *p, const nano_io *io,
                                    int relu) {
    geometry g;
    look(p, &g);
    g.planes = (int8_t *)io->scratch;
    const uint32_t size = g.out_n * g.out_lines * p->window.out_c;
    nano_fill_mve(g.planes, g.zero[0], CHANNELS * g.plane);
    int8_t *const in = (int8_t *)(uintptr_t)io->in[0], *const out = (int8_t *)io->out;
    int8_t *const at = out <= in && (uintptr_t)in - (uintptr_t)out < size ? in : out;
    convolve(&g, p, in, at, relu);
    if (out != at)
        nano_copy_mve(out, at, size);
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_mve(out, size, p->store.min, p->store.max);
}

void nano_depthwise_conv2d_3x3_mve(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_mve_params *)params, io, 0);
}

void nano_depthwise_conv2d_3x3_relu_mve(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_mve_params *)params, io, 1);
}

#endif
