/* Up to four channels at a time: their pixels become halves in planes, padding included, from which
 * the outputs of each channel are computed. A band of lines is in the planes at once; the lines
 * that it shares with the next one are moved up. */
#include "planes_dsp.h"

#if NANO_SIMD

#define PLANES 4u
#define NOINLINE __attribute__((noinline)) /* gives loops the registers for themselves */

typedef int16_t __attribute__((may_alias)) half;

/* The layer's sizes by line, be lines rows or columns; steps in bytes of the image. */
typedef struct {
    uint32_t channels, multiplier; /* of the input; outputs of each */
    uint32_t together;             /* channels at a time */
    uint32_t pitch, plane;         /* words a line, words a plane */
    uint32_t band, kernel, stride; /* output lines at a time; of taps; from line to line */
    uint32_t apart, extent;        /* from a line of taps to the next; of the whole window */
    uint32_t words;                /* words a line of taps */
    uint32_t in_n, in_step, in_lines, in_line_step, pad, pad_lines;
    uint32_t out_n, out_step, out_lines, out_line_step, along; /* along: a line's stride */
    nano_halves zero;                                          /* the input's zero point, twice */
    uint32_t *planes;
} geometry;

static void look(const nano_depthwise_conv2d_dsp_params *p, geometry *g) {
    const nano_window *const w = &p->window;
    const uint32_t c = w->in_c, o = w->out_c, zero_point = (uint32_t)p->in_zero_point;
    g->channels = c, g->multiplier = o / c, g->pitch = p->pitch, g->band = p->band;
    g->together = c < PLANES ? c : PLANES;
    g->zero = nano_pack_low(zero_point, zero_point);
    if (p->columns) {
        g->in_n = w->in_h, g->in_step = w->in_w * c, g->pad = w->pad_top, g->along = w->stride_h;
        g->in_lines = w->in_w, g->in_line_step = c, g->pad_lines = w->pad_left;
        g->out_n = w->out_h, g->out_step = w->out_w * o;
        g->out_lines = w->out_w, g->out_line_step = o;
        g->kernel = w->kernel_w, g->stride = w->stride_w, g->apart = w->dilation_w;
        g->words = ((w->kernel_h - 1u) * w->dilation_h + 2) / 2;
    } else {
        g->in_n = w->in_w, g->in_step = c, g->pad = w->pad_left, g->along = w->stride_w;
        g->in_lines = w->in_h, g->in_line_step = w->in_w * c, g->pad_lines = w->pad_top;
        g->out_n = w->out_w, g->out_step = o;
        g->out_lines = w->out_h, g->out_line_step = w->out_w * o;
        g->kernel = w->kernel_h, g->stride = w->stride_h, g->apart = w->dilation_h;
        g->words = ((w->kernel_w - 1u) * w->dilation_w + 2) / 2;
    }
    const uint32_t room = 2 * g->pitch - g->pad; /* what is behind no output needs */
    g->in_n = g->in_n < room ? g->in_n : room;
    g->extent = (g->kernel - 1) * g->apart + 1;
    g->plane = g->pitch * ((g->band - 1) * g->stride + g->extent);
}

/* Two pixels of four channels become a word of each plane. */
static inline void put(uint32_t *out, uint32_t plane, uint32_t a, uint32_t b) {
    const uint32_t c01 = nano_pack_low(a, b), c23 = nano_pack_high(a, b);
    nano_store_word(out, nano_sxtb16(c01));
    nano_store_word(out + plane, nano_sxtb16_ror8(c01));
    nano_store_word(out + 2 * plane, nano_sxtb16(c23));
    nano_store_word(out + 3 * plane, nano_sxtb16_ror8(c23));
}

/* `pairs` times two pixels, `step` apart. */
NOINLINE static void put_pairs(const int8_t *in, uint32_t step, uint32_t *out, uint32_t plane,
                               uint32_t pairs) {
    for (const uint32_t *const end = out + pairs; out != end; in += 2 * step)
        put(out++, plane, nano_load_unaligned(in), nano_load_unaligned(in + step));
}

/* A line of the image, from its first pixel on, into line `out` of the planes. */
NOINLINE static void gather_line(const geometry *g, const int8_t *in, uint32_t *out) {
    const uint32_t zero = (uint8_t)g->zero * 0x01010101u; /* a pixel of zero points */
    uint32_t n = g->in_n;
    out += g->pad / 2;
    if (g->pad % 2 != 0) {
        put(out++, g->plane, zero, nano_load_unaligned(in));
        in += g->in_step;
        n--;
    }
    put_pairs(in, g->in_step, out, g->plane, n / 2);
    if (n % 2 != 0) {
        put(out + n / 2, g->plane, nano_load_unaligned(in + (n - 1) * g->in_step), zero);
    }
}

/* The same of an image with fewer than four channels, channel by channel. */
NOINLINE static void gather_few(const geometry *g, const int8_t *in, uint32_t *out) {
    const uint32_t step = g->in_step;
    for (uint32_t k = g->together; k > 0; k--, in++, out += g->plane) {
        half *to = (half *)(void *)out + g->pad, *const end = to + g->in_n;
        for (const int8_t *at = in; to != end; at += step)
            *to++ = *at;
    }
}

NOINLINE static void fill(uint32_t *out, uint32_t n, uint32_t word) {
    for (; n >= 8; n -= 8, out += 8) {
        out[0] = word, out[1] = word, out[2] = word, out[3] = word;
        out[4] = word, out[5] = word, out[6] = word, out[7] = word;
    }
    for (; n > 0; n--)
        *out++ = word;
}

NOINLINE static void copy(uint32_t *out, const uint32_t *in, uint32_t n) {
    for (; n >= 4; n -= 4, in += 4, out += 4) {
        const uint32_t a = in[0], b = in[1], c = in[2], d = in[3];
        out[0] = a, out[1] = b, out[2] = c, out[3] = d;
    }
    for (; n > 0; n--)
        *out++ = *in++;
}

/* Bring the lines of the band at output line `first` into the planes, from four channels of the
 * image at `in`: those that the band before it has left behind, then the others. */
NOINLINE static void gather_band(const geometry *g, const int8_t *in, uint32_t first,
                                 uint32_t count) {
    const uint32_t lines = (count - 1) * g->stride + g->extent;
    const uint32_t kept = first > 0 && g->extent > g->stride ? g->extent - g->stride : 0;
    const uint32_t *const last = g->planes + g->band * g->stride * g->pitch;
    for (uint32_t k = 0; k < g->together && kept > 0; k++)
        copy(g->planes + k * g->plane, last + k * g->plane, kept * g->pitch);
    for (uint32_t i = kept; i < lines; i++) {
        const uint32_t line = first * g->stride + i - g->pad_lines; /* may be "negative" */
        uint32_t *const out = g->planes + i * g->pitch;
        if (line < g->in_lines) {
            (g->channels < PLANES ? gather_few : gather_line)(g, in + line * g->in_line_step, out);
        } else if (g->band < g->out_lines) { /* else it is as it was filled at first */
            for (uint32_t k = 0; k < g->together; k++)
                fill(out + k * g->plane, g->pitch, g->zero);
        }
    }
}

/* Put n bytes further down, or nowhere else. */
static void move_down(int8_t *out, const int8_t *in, uint32_t n) {
    if (out == in)
        return;
    for (; n >= 4 && in - out >= 4; n -= 4, in += 4, out += 4)
        nano_store_unaligned(out, nano_load_unaligned(in));
    for (; n > 0; n--)
        *out++ = *in++;
}

/* All pixels into `out`, which is `in` or does not touch it. */
static void convolve(const geometry *g, const int8_t *in, int8_t *out, nano_lines *job,
                     uint32_t weights, nano_lines_function lines) {
    const int8_t *const all_weights = job->weights;
    const int32_t *const all_scales = job->scales;
    for (uint32_t c = 0; c < g->channels; c += PLANES) {
        /* The last four again, if fewer are left: those that are done stay as they are. */
        const uint32_t count = g->together;
        const uint32_t base = c + count <= g->channels ? c : g->channels - count;
        for (uint32_t first = 0; first < g->out_lines; first += g->band) {
            const uint32_t left = g->out_lines - first;
            job->lines = left < g->band ? left : g->band;
            gather_band(g, in + base, first, job->lines);
            job->plane = g->planes + (c - base) * g->plane;
            job->out = out + first * g->out_line_step + c * g->multiplier;
            job->weights = all_weights + c * g->multiplier * weights;
            job->scales = all_scales + 2 * c * g->multiplier;
            for (uint32_t k = c; k < base + count; k++, job->plane += g->plane) {
                for (uint32_t i = g->multiplier; i > 0; i--) {
                    lines(job);
                    job->out++, job->weights += weights, job->scales += 2;
                }
            }
        }
    }
}

void nano_depthwise_planes(const nano_depthwise_conv2d_dsp_params *p, const nano_io *io,
                           uint32_t weights, nano_lines_function lines) {
    geometry g;
    look(p, &g);
    g.planes = (uint32_t *)io->scratch;
    const uint32_t size = g.out_n * g.out_lines * p->window.out_c, pairs = g.out_n / 2;
    nano_lines job = {.weights = p->weights, .scales = p->scales, .odd = g.out_n % 2};
    job.offset = 2 * p->store.zero_point + 1;
    job.pitch = 4 * g.pitch * g.apart;
    job.step = g.out_step;
    job.pairs = 4 * pairs * g.along;
    job.next = (int32_t)(4 * g.stride * g.pitch - job.pairs);
    job.out_next = (int32_t)(g.out_line_step - 2 * pairs * g.out_step);
    job.stride = g.along, job.kernel = g.kernel, job.words = g.words;
    job.widened = g.planes + g.together * g.plane;
    fill(g.planes, g.together * g.plane, g.zero);
    int8_t *const in = (int8_t *)(uintptr_t)io->in[0], *const out = (int8_t *)io->out;
    /* Never below the input, unless it is lost (see "Overlap" in nano/ops/depthwise_dsp.h). */
    int8_t *const at = out <= in && (uintptr_t)in - (uintptr_t)out < size ? in : out;
    convolve(&g, in, at, &job, weights, lines);
    move_down(out, at, size);
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_dsp(out, size, p->store.min, p->store.max);
}

#endif
