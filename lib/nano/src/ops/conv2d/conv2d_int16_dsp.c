/* conv2d_int16.c's equation, three pixels at a time (tile_int16_dsp.c). Their windows are brought
 * side by side first: straight from the image if all three lie inside it, else one by one, with
 * zeros for what is outside. */
#include "nano/ops.h"

#include "../../window.h"
#include "tile_int16_dsp.h"

#if NANO_SIMD

#define PIXELS NANO_TILE16_PIXELS

/* What runs seldom stays out of the loop. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline))
#else
#define SELDOM
#endif

/* One group at work. Its image is one long row where pixels are independent of each other (a kernel
 * of 1x1 that visits all of them). */
typedef struct {
    nano_window window;
    const int16_t *in;              /* from the group's first channel on */
    uint32_t channels, run, pitch;  /* of the group; elements side by side, in words */
    uint32_t runs;                  /* of a row of the kernel */
    int32_t row;                    /* elements of the image */
    int32_t y, x;                   /* the next pixel */
    int32_t last_top, first, final; /* windows are whole from row 0 to it, and in these columns */
    int32_t last;                   /* the last place of a window that may be read whole */
    nano_windows_int16 next;
} job;

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static job begin(const nano_conv2d_int16_dsp_params *p, const nano_io *io, uint32_t group) {
    job j = {.window = p->window};
    nano_window *const w = &j.window;
    const uint32_t pixels = (uint32_t)w->in_h * w->in_w;
    if (w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
        w->in_h == w->out_h && w->in_w == w->out_w && pixels <= UINT16_MAX) {
        w->in_h = w->out_h = 1;
        w->in_w = w->out_w = (uint16_t)pixels;
    }
    j.channels = (uint32_t)w->in_c / p->groups;
    j.in = (const int16_t *)io->in[0] + group * j.channels;
    const int together = p->groups == 1 && w->dilation_w == 1;
    j.runs = together ? 1 : w->kernel_w;
    j.run = together ? w->kernel_w * j.channels : j.channels;
    j.pitch = (j.run + 1) / 2;
    j.row = w->in_w * w->in_c;
    const int32_t down = (w->kernel_h - 1) * w->dilation_h;
    const int32_t right = (w->kernel_w - 1) * w->dilation_w;
    j.last_top = w->in_h - 1 - down;
    j.first = (w->pad_left + w->stride_w - 1) / w->stride_w;
    const int32_t inside = w->in_w - 1 - right + w->pad_left;
    j.final = inside < 0 ? -1 : least(inside / w->stride_w, w->out_w - 1);
    /* The last word of an odd run has an element behind it, which must not be behind the image. */
    const int32_t reach = down * j.row + (together ? 0 : right * w->in_c) + 2 * (int32_t)j.pitch;
    j.last = w->in_h * j.row - (int32_t)(group * j.channels) - reach;
    j.next.words = j.pitch;
    j.next.runs = j.runs == 1 ? w->kernel_h : j.runs;
    const int32_t step = j.runs == 1 ? w->dilation_h * j.row : w->dilation_w * w->in_c;
    j.next.skip = 2 * step - 4 * (int32_t)j.pitch;
    return j;
}

/* n elements side by side into words `step` apart, from number `first` of them on. */
static void put(uint32_t *out, uint32_t step, uint32_t first, const int16_t *in, uint32_t n) {
    out += first / 2 * step;
    if (first % 2 != 0 && n > 0) {
        *out = (uint32_t)*in++ << 16;
        out += step, n--;
    }
    for (; n >= 2; n -= 2, in += 2, out += step)
        *out = nano_load_unaligned(in);
    if (n > 0)
        *out = (uint16_t)*in;
}

/* The window of the next pixel into words `step` apart. */
static SELDOM void copy_window(job *j, uint32_t *out, uint32_t step) {
    const nano_window *const w = &j->window;
    const nano_taps rows = nano_clip_rows(w, (uint32_t)j->y);
    const nano_view v = nano_look(w, rows, (uint32_t)j->y, (uint32_t)j->x);
    const uint32_t words = w->kernel_h * j->runs * j->pitch;
    const uint32_t columns = v.columns.end - v.columns.begin;
    if (v.rows.end - v.rows.begin != w->kernel_h || columns != w->kernel_w) {
        for (uint32_t i = 0; i < words; i++)
            out[i * step] = 0;
    }
    const int16_t *in = j->in + v.start;
    for (uint32_t i = v.rows.begin; i < v.rows.end; i++, in += v.row_step) {
        uint32_t *const line = out + i * j->runs * j->pitch * step;
        if (j->runs == 1) {
            put(line, step, v.columns.begin * j->channels, in, columns * j->channels);
            continue;
        }
        for (uint32_t k = 0; k < columns; k++)
            put(line + (v.columns.begin + k) * j->pitch * step, step, 0, in + k * v.step, j->run);
    }
    if (++j->x == w->out_w) {
        j->x = 0;
        j->y++;
    }
}

/* Bring in the windows of the next three pixels. */
static inline void next_windows(job *j, uint32_t *inputs) {
    const nano_window *const w = &j->window;
    const int32_t top = j->y * w->stride_h - w->pad_top, step = w->stride_w * w->in_c;
    const int32_t place = top * j->row + j->x * step - w->pad_left * w->in_c;
    if (j->x < j->first || j->x + (int32_t)PIXELS - 1 > j->final || top < 0 || top > j->last_top ||
        place + 2 * step > j->last) {
        for (uint32_t k = 0; k < PIXELS; k++)
            copy_window(j, inputs + k, PIXELS);
        return;
    }
    j->next.inputs = inputs;
    for (int32_t k = 0; k < (int32_t)PIXELS; k++)
        j->next.windows[k] = j->in + place + k * step;
    nano_tile_int16_gather_dsp(&j->next);
    for (uint32_t i = 1; i < w->kernel_h && j->runs != 1; i++) {
        j->next.inputs += PIXELS * j->runs * j->pitch;
        for (uint32_t k = 0; k < PIXELS; k++)
            j->next.windows[k] += w->dilation_h * j->row;
        nano_tile_int16_gather_dsp(&j->next);
    }
    j->x += (int32_t)PIXELS;
    if (j->x == w->out_w) {
        j->x = 0;
        j->y++;
    }
}

/* Three pixels of a group's outputs, an odd last one apart. */
static inline void three(nano_tile_int16 *t, uint32_t outputs,
                         void (*tile)(const nano_tile_int16 *)) {
    const uint32_t pair = 4 * t->words + NANO_TILE16_SCALES;
    const int8_t *const weights = t->weights;
    t->weights_end = weights + outputs / 2 * pair;
    if (outputs > 1)
        tile(t);
    if (outputs % 2 != 0) {
        int16_t two[PIXELS][2];
        nano_tile_int16 last = *t;
        last.weights = t->weights_end;
        last.weights_end += pair;
        for (uint32_t k = 0; k < PIXELS; k++)
            last.out[k] = two[k];
        tile(&last);
        for (uint32_t k = 0; k < PIXELS; k++)
            t->out[k][outputs - 1] = two[k][0];
    }
}

static inline void convolve(const nano_conv2d_int16_dsp_params *p, const nano_io *io,
                            void (*tile)(const nano_tile_int16 *)) {
    const nano_rows_int16 *const rows = &p->outputs;
    const uint32_t all = p->window.out_c, outputs = all / p->groups;
    uint32_t *const scratch = (uint32_t *)io->scratch, *const inputs = scratch + NANO_TILE16_SUMS;
    nano_tile_int16 t = {
        .inputs = scratch, .words = rows->words, .weights = rows->weights, .rows = rows};
    for (uint32_t i = 0; i < NANO_TILE16_SUMS; i++)
        scratch[i] = 0;
    const uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    for (uint32_t group = 0; group < p->groups; group++) {
        job j = begin(p, io, group);
        int16_t *out = (int16_t *)io->out + group * outputs;
        uint32_t left = pixels;
        for (; left >= PIXELS; left -= PIXELS, out += PIXELS * all) {
            next_windows(&j, inputs);
            for (uint32_t k = 0; k < PIXELS; k++)
                t.out[k] = out + k * all;
            three(&t, outputs, tile);
        }
        for (uint32_t k = 0; k < left; k++)
            copy_window(&j, inputs + k * rows->words, 1);
        for (uint32_t k = 0; k < left; k++, out += all)
            nano_line_int16_dsp(rows, inputs + k * rows->words, t.weights, outputs, out);
        t.weights += (outputs + 1) / 2 * (4u * rows->words + NANO_TILE16_SCALES);
    }
}

void nano_conv2d_int16_dsp(const void *params, const nano_io *io) {
    const nano_conv2d_int16_dsp_params *const p = (const nano_conv2d_int16_dsp_params *)params;
    const nano_window *const w = &p->window;
    convolve(p, io, nano_tile_int16_dsp);
    if (p->outputs.min > INT16_MIN || p->outputs.max < INT16_MAX)
        nano_clamp_halves((int16_t *)io->out, (uint32_t)w->out_h * w->out_w * w->out_c,
                          p->outputs.min, p->outputs.max);
}

void nano_conv2d_int16_relu_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_int16_dsp_params *)params, io, nano_tile_int16_relu_dsp);
}

void nano_conv2d_int16_long_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_int16_dsp_params *)params, io, nano_tile_int16_long_dsp);
}

#endif
