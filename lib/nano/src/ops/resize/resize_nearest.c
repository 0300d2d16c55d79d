/* out[y,x,c] = in[rows[y], columns[x], c]; in, out: H, W, C int8. */
#include "nano/ops.h"

void nano_resize_nearest(const void *params, const nano_io *io) {
    const nano_resize_nearest_params *const p = (const nano_resize_nearest_params *)params;
    const uint32_t channels = p->channels, row_size = p->in_w * channels;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < p->out_h; y++) {
        const int8_t *const row = (const int8_t *)io->in[0] + p->rows[y] * row_size;
        for (uint32_t x = 0; x < p->out_w; x++) {
            const int8_t *const in = row + p->columns[x] * channels;
            for (uint32_t c = 0; c < channels; c++)
                *out++ = in[c];
        }
    }
}
