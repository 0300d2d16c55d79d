/* depthwise_conv2d.c's equation, sixteen channels at a time (pie_lanes.h). The lines of the image
 * that a line of outputs needs stand in scratch, padded, a multiple of sixteen channels each, in a
 * ring: an input is brought in once. */
#include "nano/ops.h"

#include "../../pie_lanes.h"
#include "../conv2d/tile_pie.h"

typedef struct {
    nano_tile_scalar ring; /* its inputs */
    uint32_t lines;        /* in it */
    uint32_t outputs;      /* channels of it: whole sixteens */
    uint32_t pitch;        /* bytes a line */
    uint32_t next;         /* line to bring in, the padding's first one is 0 */
    const int8_t **rows;   /* [kernel_h] */
    int8_t *line;          /* of outputs: [out_w][16] */
} image;

/* `pixels` of n bytes each, by words where those are aligned. Steps are from pixel to pixel. */
static void copy(int8_t *out, uint32_t out_step, const int8_t *in, uint32_t in_step, uint32_t n,
                 uint32_t pixels) {
#if NANO_PIE_NATIVE
    typedef uint32_t __attribute__((may_alias)) word;
    if ((((uintptr_t)out | out_step | (uintptr_t)in | in_step | n) & 3) == 0) {
        for (; pixels > 0; pixels--, out += out_step, in += in_step) {
            word *to = (word *)(void *)out;
            const word *from = (const word *)(const void *)in, *const end = from + n / 4;
            while (from != end)
                *to++ = *from++;
        }
        return;
    }
#endif
    for (; pixels > 0; pixels--, out += out_step, in += in_step) {
        int8_t *to = out;
        const int8_t *from = in, *const end = in + n;
        for (; end - from >= 4; from += 4, to += 4) {
            const int8_t a = from[0], b = from[1], c = from[2], d = from[3];
            to[0] = a, to[1] = b, to[2] = c, to[3] = d;
        }
        while (from != end)
            *to++ = *from++;
    }
}

/* Inputs as often as there are outputs of each. */
static void put_repeated(int8_t *out, const int8_t *in, uint32_t pixels, const nano_window *w,
                         uint32_t step) {
    const uint32_t times = (uint32_t)w->out_c / w->in_c;
    for (; pixels > 0; pixels--, out += step - w->out_c) {
        for (uint32_t c = w->in_c; c > 0; c--, in++) {
            for (uint32_t k = 0; k < times; k++)
                *out++ = *in;
        }
    }
}

/* Bring in the next line of the padded image. */
static void bring_in(image *g, const nano_window *w, int32_t zero_point, const int8_t *in) {
    const uint32_t first = g->next % g->lines * g->pitch, pad = w->pad_left * g->outputs;
    const uint32_t y = g->next++ - w->pad_top; /* may be "negative" */
    if (y >= w->in_h) {
        nano_tile_pie.fill(&g->ring, 0, first, zero_point, g->pitch);
        return;
    }
    /* of a layer, which has channels: NOLINTNEXTLINE(*DivideZero) */
    const uint32_t room = pad < g->pitch ? (g->pitch - pad) / g->outputs : 0;
    const uint32_t pixels = w->in_w < room ? w->in_w : room;
    const int8_t *const line = in + y * w->in_w * w->in_c;
    if (w->in_c == g->outputs)
        nano_tile_pie.put(&g->ring, 0, first + pad, line, pixels * w->in_c);
    else if (w->in_c == w->out_c)
        copy((int8_t *)g->ring.inputs + first + pad, g->outputs, line, w->in_c, w->in_c, pixels);
    else
        put_repeated((int8_t *)g->ring.inputs + first + pad, line, pixels, w, g->outputs);
}

/* The line's sixteen outputs from `first` on. */
static void compute(const image *g, nano_pie_lanes_job *job, const nano_window *w, uint32_t first,
                    int8_t *out) {
    const uint32_t left = w->out_c - first, n = left < NANO_PIE_LANES ? left : NANO_PIE_LANES;
    const int direct = n == NANO_PIE_LANES && (((uintptr_t)out | w->out_c) & 15) == 0;
    job->out = direct ? out : g->line;
    job->out_step = direct ? w->out_c - 16u : 0;
    job->second = n > NANO_PIE_LANES / 2;
    nano_pie_line(job);
    if (!direct)
        copy(out, w->out_c, g->line, NANO_PIE_LANES, n, w->out_w);
}

/* All of the image; `job` has what lines share. */
static void convolve(image *g, nano_pie_lanes_job *job, const nano_depthwise_conv2d_pie_params *p,
                     const nano_io *io) {
    const nano_window *const w = &p->window;
    const uint32_t block = NANO_PIE_BIAS + NANO_PIE_LANES * (uint32_t)w->kernel_h * w->kernel_w;
    const int8_t *const ring = (const int8_t *)g->ring.inputs;
    for (uint32_t y = 0; y < w->out_h; y++) {
        const uint32_t top = y * w->stride_h;
        g->next = g->next < top ? top : g->next;
        while (g->next < top + g->lines)
            bring_in(g, w, p->in_zero_point, (const int8_t *)io->in[0]);
        int8_t *const out = (int8_t *)io->out + y * w->out_w * w->out_c;
        uint32_t at = top % g->lines;
        for (uint32_t i = 0; i < w->kernel_h; i++, at += w->dilation_h) {
            at -= at < g->lines ? 0 : g->lines;
            g->rows[i] = ring + at * g->pitch;
        }
        for (uint32_t c = 0; c < g->outputs; c += NANO_PIE_LANES) {
            job->bias = p->weights + c / NANO_PIE_LANES * block;
            job->w = job->bias + NANO_PIE_BIAS;
            job->lanes = p->scales + 3 * c;
            compute(g, job, w, c, out + c);
            for (uint32_t i = 0; i < w->kernel_h; i++)
                g->rows[i] += NANO_PIE_LANES;
        }
    }
}

void nano_depthwise_conv2d_pie(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_pie_params *const p =
        (const nano_depthwise_conv2d_pie_params *)params;
    const nano_window *const w = &p->window;
    const nano_io aligned = nano_tile_pie_io(io);
    int8_t *const sums = (int8_t *)aligned.scratch, *const limits = sums + NANO_PIE_ROOM;
    image g = {.lines = (w->kernel_h - 1u) * w->dilation_h + 1};
    nano_pie_lanes_job job = {.sums = sums, .limits = limits};
    g.outputs = (w->out_c + 15u) & ~15u;
    g.pitch = ((w->out_w - 1u) * w->stride_w + (w->kernel_w - 1u) * w->dilation_w + 1) * g.outputs;
    g.line = limits + 2 * NANO_PIE_LANES;
    g.ring.inputs = g.line + NANO_PIE_LANES * w->out_w;
    g.rows = (const int8_t **)(void *)((int8_t *)g.ring.inputs + g.lines * g.pitch);
    nano_tile_pie.fill(&g.ring, 0, 0, p->in_zero_point, g.lines * g.pitch);
    for (uint32_t i = 0; i < NANO_PIE_LANES; i++) {
        limits[i] = (int8_t)p->store.min;
        limits[NANO_PIE_LANES + i] = (int8_t)p->store.max;
    }
    job.rows = g.rows;
    job.kernel_h = w->kernel_h, job.kernel_w = w->kernel_w;
    job.tap = w->dilation_w * g.outputs, job.pixel = w->stride_w * g.outputs;
    job.pixels = w->out_w;
    job.relu = p->store.zero_point == -128;
    convolve(&g, &job, p, &aligned);
}
