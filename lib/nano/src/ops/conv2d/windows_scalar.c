/* The windows of an image, and rows, on their way into a tile (tile_scalar.h). What is outside the
 * image becomes the zero point. */
#include "nano/ops.h"

#include "tile_scalar.h"

/* A convolution at work. Its image is one long row where pixels are independent of each other (a
 * kernel of 1x1 that visits all of them). A window's place is its first tap's; it may be outside.
 */
typedef struct {
    const nano_window *window;
    const nano_tile_kind *kind;
    nano_tile_scalar *tile;
    int32_t zero_point; /* of the inputs */
    const int8_t *in;
    int32_t in_h, in_w, out_w;
    int32_t row_bytes;          /* of the image */
    int32_t inside_h, inside_w; /* windows that begin at 0..inside are whole; < 0: none is */
    int32_t x, top, left;       /* the next pixel's column, its window's place */
    uint32_t run;               /* inputs side by side in image and window: a row of it, or a tap */
    uint32_t runs;              /* of a window's row */
    int32_t across, down;       /* bytes from a run to the one to its right, to the one below */
} job;

static job begin(const nano_window *w, const nano_io *io) {
    const int all = w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
                    w->in_h == w->out_h && w->in_w == w->out_w;
    job j = {.window = w, .in = (const int8_t *)io->in[0]};
    j.in_h = all ? 1 : w->in_h;
    j.in_w = all ? w->in_h * w->in_w : w->in_w;
    j.out_w = all ? j.in_w : w->out_w;
    j.row_bytes = j.in_w * w->in_c;
    j.inside_h = j.in_h - (w->kernel_h - 1) * w->dilation_h - 1;
    j.inside_w = j.in_w - (w->kernel_w - 1) * w->dilation_w - 1;
    j.top = -(int32_t)w->pad_top;
    j.left = -(int32_t)w->pad_left;
    j.run = w->dilation_w == 1 ? (uint32_t)w->kernel_w * w->in_c : w->in_c;
    j.runs = w->dilation_w == 1 ? 1 : w->kernel_w;
    j.across = w->dilation_w * w->in_c;
    j.down = w->dilation_h * j.row_bytes;
    return j;
}

/* Bring in a window that lies inside the image. */
static void whole_window(job *j, uint32_t k) {
    const int8_t *row = j->in + j->top * j->row_bytes + j->left * j->window->in_c;
    uint32_t term = 0;
    for (; term < j->tile->terms; row += j->down) {
        const int8_t *at = row;
        for (uint32_t i = 0; i < j->runs; i++, at += j->across, term += j->run)
            j->kind->put(j->tile, k, term, at, j->run);
    }
}

/* Bring in a window of which taps may be outside. */
static void clipped_window(job *j, uint32_t k) {
    const nano_window *const w = j->window;
    uint32_t term = 0;
    for (int32_t i = 0, y = j->top; i < w->kernel_h; i++, y += w->dilation_h) {
        for (int32_t l = 0, x = j->left; l < w->kernel_w; l++, x += w->dilation_w) {
            if (y >= 0 && y < j->in_h && x >= 0 && x < j->in_w)
                j->kind->put(j->tile, k, term, j->in + y * j->row_bytes + x * w->in_c, w->in_c);
            else
                j->kind->fill(j->tile, k, term, j->zero_point, w->in_c);
            term += w->in_c;
        }
    }
}

/* Bring in the next pixel's window as window k of the tile. */
static void next_window(job *j, uint32_t k) {
    const nano_window *const w = j->window;
    if (j->top >= 0 && j->top <= j->inside_h && j->left >= 0 && j->left <= j->inside_w)
        whole_window(j, k);
    else
        clipped_window(j, k);
    j->left += w->stride_w;
    if (++j->x == j->out_w) {
        j->x = 0;
        j->left = -(int32_t)w->pad_left;
        j->top += w->stride_h;
    }
}

void nano_tile_image(nano_tile_scalar *tile, const nano_tile_kind *kind, const nano_window *window,
                     int32_t in_zero_point, const nano_io *io) {
    job j = begin(window, io);
    j.kind = kind;
    j.tile = tile;
    j.zero_point = in_zero_point;
    tile->inputs = io->scratch;
    tile->terms = (uint32_t)window->kernel_h * window->kernel_w * window->in_c;
    tile->outputs = window->out_c;
    tile->out = (int8_t *)io->out;
    uint32_t left = (uint32_t)window->out_h * window->out_w;
    for (; left > 0; left -= tile->windows) {
        nano_tile_begin(tile, left < kind->windows ? left : kind->windows);
        for (uint32_t k = 0; k < tile->windows; k++)
            next_window(&j, k);
        kind->compute(tile);
        tile->out += tile->windows * tile->outputs;
    }
}

void nano_tile_rows(nano_tile_scalar *tile, const nano_tile_kind *kind, uint32_t rows,
                    const nano_io *io) {
    const int8_t *in = (const int8_t *)io->in[0];
    tile->inputs = io->scratch;
    tile->out = (int8_t *)io->out;
    for (uint32_t left = rows; left > 0; left -= tile->windows) {
        nano_tile_begin(tile, left < kind->windows ? left : kind->windows);
        tile->rows = in;
        if (tile->windows == 1 && kind->put_row)
            kind->put_row(tile, in);
        else
            for (uint32_t k = 0; k < tile->windows && kind->put; k++)
                kind->put(tile, k, 0, in + k * tile->terms, tile->terms);
        kind->compute(tile);
        in += tile->windows * tile->terms;
        tile->out += tile->windows * tile->outputs;
    }
}
