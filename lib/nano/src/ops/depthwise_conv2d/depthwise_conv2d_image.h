/* depthwise_conv2d_image.h - a depthwise convolution as lines of outputs (internal). Up to four
 * channels are brought into planes first, as inputs 128 larger, with their padding; a line of a
 * plane is a row of the image or a column.
 *
 * What includes it has said what its kernels want, in
 *     typedef element;                            unsigned; of a plane
 *     #define SUMS_BEHIND                         sums that are written behind the last, and lost
 *     uint32_t weight_words(const nano_lines_job *job)                 that job->weights has
 *     void take_weights(const nano_lines_job *job, const int8_t *weight)   of a channel
 */
#include "nano/ops.h"

#include "lines_scalar.h"

#define PLANES 4

/* A function's registers and stack are its own: not those of what calls it,
 * too. */
#if defined(__GNUC__)
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE
#endif

/* A layer as lines. Steps are elements; `in_step` and `out_step` go from pixel to
 * pixel of a line. */
typedef struct {
    uint32_t channels, multiplier; /* of the input; outputs of each */
    uint32_t together;             /* channels at a time */
    uint32_t pitch, plane;         /* elements a line, a plane */
    uint32_t band, stride;         /* output lines at a time; from line to line */
    uint32_t apart, extent;        /* from a line of taps to the next; of the whole window */
    uint32_t in_n, in_step, in_lines, in_line_step, pad, pad_lines;
    uint32_t out_n, out_step, out_lines, out_line_step;
    element zero; /* the input's zero point */
    element *planes;
} geometry;

static void look(const nano_depthwise_conv2d_scalar_params *p, geometry *g, nano_lines_job *job) {
    const nano_window *const w = &p->window;
    const uint32_t c = w->in_c, o = w->out_c;
    g->channels = c, g->multiplier = o / c, g->pitch = p->pitch, g->band = p->band;
    g->together = c < PLANES ? c : PLANES;
    g->zero = (element)(p->in_zero_point + 128);
    if (p->columns) {
        g->in_n = w->in_h, g->in_step = w->in_w * c, g->pad = w->pad_top;
        g->in_lines = w->in_w, g->in_line_step = c, g->pad_lines = w->pad_left;
        g->out_n = w->out_h, g->out_step = w->out_w * o;
        g->out_lines = w->out_w, g->out_line_step = o;
        g->stride = w->stride_w, job->kernel = w->kernel_w, g->apart = w->dilation_w;
        job->taps = w->kernel_h, job->gap = w->dilation_h;
    } else {
        g->in_n = w->in_w, g->in_step = c, g->pad = w->pad_left;
        g->in_lines = w->in_h, g->in_line_step = w->in_w * c, g->pad_lines = w->pad_top;
        g->out_n = w->out_w, g->out_step = o;
        g->out_lines = w->out_h, g->out_line_step = w->out_w * o;
        g->stride = w->stride_h, job->kernel = w->kernel_h, g->apart = w->dilation_h;
        job->taps = w->kernel_w, job->gap = w->dilation_w;
    }
    const uint32_t room = g->pitch - g->pad; /* what is behind no output needs */
    g->in_n = g->in_n < room ? g->in_n : room;
    g->extent = (job->kernel - 1) * g->apart + 1;
    g->plane = g->pitch * ((g->band - 1) * g->stride + g->extent);
}

static void fill(element *out, uint32_t n, element value) {
    for (; n > 0; n--)
        *out++ = value;
}

/* --- Into the planes --- */

/* Four bytes of an image, lowest first; aligned. */
static inline uint32_t load_four(const int8_t *in) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    typedef uint32_t __attribute__((may_alias)) word;
    return *(const word *)(const void *)in;
#else
    return (uint8_t)in[0] | (uint32_t)(uint8_t)in[1] << 8 | (uint32_t)(uint8_t)in[2] << 16 |
           (uint32_t)(uint8_t)in[3] << 24;
#endif
}

/* A line of an image with fewer than four channels, channel by channel. */
NOINLINE static void gather_few(const geometry *g, const int8_t *in, element *out) {
    const uint32_t step = g->in_step;
    for (uint32_t k = g->together; k > 0; k--, in++, out += g->plane) {
        const int8_t *at = in;
        for (element *to = out, *const end = to + g->in_n; to != end; at += step)
            *to++ = (element)((uint8_t)*at ^ 0x80u);
    }
}

/* n pixels of four channels. */
NOINLINE static void gather_bytes(const int8_t *in, uint32_t step, element *out, uint32_t plane,
                                  uint32_t n) {
    for (; n > 0; n--, in += step, out++) {
        for (uint32_t k = 0; k < PLANES; k++)
            out[k * plane] = (element)((uint8_t)in[k] ^ 0x80u);
    }
}

/* The same where words are aligned, two at a time. */
static void gather(const int8_t *in, uint32_t step, element *out, uint32_t plane, uint32_t n) {
    element *b = out + plane, *c = b + plane, *d = c + plane;
    for (; n >= 2; n -= 2, out += 2, b += 2, c += 2, d += 2) {
        const uint32_t first = load_four(in) ^ 0x80808080u;
        in += step;
        const uint32_t second = load_four(in) ^ 0x80808080u;
        in += step;
        out[0] = (uint8_t)first;
        b[0] = (uint8_t)(first >> 8);
        c[0] = (uint8_t)(first >> 16);
        d[0] = (uint8_t)(first >> 24);
        out[1] = (uint8_t)second;
        b[1] = (uint8_t)(second >> 8);
        c[1] = (uint8_t)(second >> 16);
        d[1] = (uint8_t)(second >> 24);
    }
    gather_bytes(in, step, out, plane, n);
}

/* Bring the lines of the band at output line `first` into the planes, from four
 * channels of the image at `in`: those that the band before it has left behind,
 * then the others. */
NOINLINE static void gather_band(const geometry *g, const int8_t *in, uint32_t first,
                                 uint32_t count) {
    const uint32_t lines = (count - 1) * g->stride + g->extent;
    const uint32_t kept = first > 0 && g->stride < g->extent ? g->extent - g->stride : 0;
    const int aligned = ((uintptr_t)in | g->in_step | g->in_line_step) % 4 == 0;
    for (uint32_t k = 0; k < g->together; k++) {
        element *const plane = g->planes + k * g->plane;
        const element *const last = plane + g->band * g->stride * g->pitch;
        for (uint32_t i = 0; i < kept * g->pitch; i++)
            plane[i] = last[i];
    }
    for (uint32_t i = kept; i < lines; i++) {
        const uint32_t line = first * g->stride + i - g->pad_lines; /* may be "negative" */
        element *const out = g->planes + i * g->pitch;
        if (line < g->in_lines && g->channels < PLANES) {
            gather_few(g, in + line * g->in_line_step, out + g->pad);
        } else if (line < g->in_lines) {
            (aligned ? gather : gather_bytes)(in + line * g->in_line_step, g->in_step, out + g->pad,
                                              g->plane, g->in_n);
        } else if (g->band < g->out_lines) { /* else it is as it was filled at first */
            for (uint32_t k = 0; k < g->together; k++)
                fill(out + k * g->plane, g->pitch, g->zero);
        }
    }
}

/* --- Out of them --- */

/* Put n bytes further down, or nowhere else. */
static void move_down(int8_t *out, const int8_t *in, uint32_t n) {
    for (; n > 0 && out != in; n--)
        *out++ = *in++;
}

/* `lines` output lines of a channel, the first of them at `out`; as many at a
 * time as sums fit. */
NOINLINE static void channel(const nano_depthwise_conv2d_scalar_params *p, const geometry *g,
                             const element *plane, int8_t *out, uint32_t lines,
                             nano_lines_job *job) {
    for (; lines > 0; lines -= job->lines) {
        job->lines = lines < p->together ? lines : p->together;
        job->plane = plane;
        job->out = out;
        job->compute(job);
        nano_lines_store(job);
        plane += job->lines * job->plane_step;
        out += job->lines * g->out_line_step;
    }
}

/* All pixels into `out`, which is `in` or does not touch it. */
NOINLINE static void convolve(const geometry *g, const nano_depthwise_conv2d_scalar_params *p,
                              const int8_t *in, int8_t *out, nano_lines_job *job) {
    for (uint32_t c = 0; c < g->channels; c += PLANES) {
        /* The last four again, if fewer are left: those that are done stay as they
         * are. */
        const uint32_t count = g->together;
        const uint32_t base = c + count <= g->channels ? c : g->channels - count;
        for (uint32_t first = 0; first < g->out_lines; first += g->band) {
            const uint32_t left = g->out_lines - first;
            const uint32_t lines = left < g->band ? left : g->band;
            gather_band(g, in + base, first, lines);
            const uint32_t o = c * g->multiplier, taps = job->kernel * job->taps;
            const element *plane = g->planes + (c - base) * g->plane;
            const int8_t *weight = p->weights + taps * o;
            int8_t *to = out + first * g->out_line_step + o;
            job->scale = p->scales + 3 * o;
            for (uint32_t k = c; k < base + count; k++, plane += g->plane) {
                for (uint32_t more = g->multiplier; more > 0; more--, job->scale += 3) {
                    take_weights(job, weight);
                    weight += taps;
                    channel(p, g, plane, to++, lines, job);
                }
            }
        }
    }
}

static void depthwise(const nano_depthwise_conv2d_scalar_params *p, const nano_io *io,
                      void (*sums)(const nano_lines_job *)) {
    geometry g;
    nano_lines_job job;
    look(p, &g, &job);
    const uint32_t size = g.out_n * g.out_lines * p->window.out_c;
    job.pitch = g.pitch * g.apart, job.step = g.out_step, job.outputs = g.out_n;
    job.compute = sums;
    job.along = p->along;
    job.sums = (int32_t *)io->scratch;
    job.weights = job.sums + p->together * g.out_n + SUMS_BEHIND;
    g.planes = (element *)(job.weights + weight_words(&job));
    job.line_step = g.out_line_step;
    job.plane_step = g.stride * g.pitch;
    job.store = p->store;
    job.below = (uint32_t)1 << p->unit & ~(uint32_t)1; /* 0 for 0 */
    fill(g.planes, g.together * g.plane, g.zero);
    int8_t *const in = (int8_t *)(uintptr_t)io->in[0], *const out = (int8_t *)io->out;
    /* Never below the input, unless it is lost (see "Overlap" in
     * nano/ops/scalar.h). */
    int8_t *const at = out <= in && (uintptr_t)in - (uintptr_t)out < size ? in : out;
    convolve(&g, p, in, at, &job);
    move_down(out, at, size);
}
