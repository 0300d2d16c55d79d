/* out[y,x,c] = round(sum_{i,j in 0,1} in[y_i,x_j,c] * wy_i * wx_j / 2^20), halves away from zero,
 * where y_0 and y_1 are the input's rows around (y * step_h + start_h) / 2^10 and wy_0, wy_1 their
 * weights, 2^10 together; columns likewise. in, out: H, W, C int8. */
#include "nano/ops.h"

#define ONE (1 << 10)

/* The two input indices around a position, and their weights. */
typedef struct {
    int32_t index[2], weight[2];
} neighbours;

/* Those around position `at`, in 2^-10 elements, of `size` elements. At the rim and beyond both are
 * the outermost element. */
static neighbours around(int32_t at, int32_t size) {
    const int32_t lower = at < 0 ? 0 : at / ONE;
    neighbours n = {{lower, lower}, {ONE, 0}};
    if (lower >= size - 1) {
        n.index[0] = n.index[1] = size - 1;
    } else if (at > lower * ONE) {
        n.index[1] = lower + 1;
        n.weight[1] = at - lower * ONE;
        n.weight[0] = ONE - n.weight[1];
    }
    return n;
}

/* sum / 2^20, halves away from zero. */
static int8_t rounded(int32_t sum) {
    return (int8_t)((sum > 0 ? sum + (1 << 19) : sum - (1 << 19)) / (1 << 20));
}

void nano_resize_bilinear(const void *params, const nano_io *io) {
    const nano_resize_bilinear_params *const p = (const nano_resize_bilinear_params *)params;
    const int32_t channels = p->channels, row_size = p->in_w * channels;
    int8_t *out = (int8_t *)io->out;
    for (int32_t y = 0; y < p->out_h; y++) {
        const neighbours v = around(y * p->step_h + p->start_h, p->in_h);
        const int8_t *const row0 = (const int8_t *)io->in[0] + v.index[0] * row_size;
        const int8_t *const row1 = (const int8_t *)io->in[0] + v.index[1] * row_size;
        for (int32_t x = 0; x < p->out_w; x++) {
            const neighbours u = around(x * p->step_w + p->start_w, p->in_w);
            const int32_t left = u.index[0] * channels, right = u.index[1] * channels;
            for (int32_t c = 0; c < channels; c++) {
                const int32_t above = row0[left + c] * u.weight[0] + row0[right + c] * u.weight[1];
                const int32_t below = row1[left + c] * u.weight[0] + row1[right + c] * u.weight[1];
                *out++ = rounded(above * v.weight[0] + below * v.weight[1]);
            }
        }
    }
}
