#include "naive.h"

/* |x| and divisor < 2^29 */
static int32_t divide_half_away(int32_t x, int32_t divisor) {
    const int32_t magnitude = x < 0 ? -x : x;
    const int32_t rounded = (2 * magnitude + divisor) / (2 * divisor);
    return x < 0 ? -rounded : rounded;
}

static int8_t clamp(int32_t x, int32_t min, int32_t max) {
    return (int8_t)(x < min ? min : x > max ? max : x);
}

/* Only right shifts here: test_requant is about requantization. */
static int8_t requantize(int64_t acc, const nano_requant *r, int32_t channel) {
    const int32_t i = r->per_channel ? channel : 0;
    const int64_t product = acc * r->multiplier[i] + ((int64_t)1 << 30);
    const int64_t unit = (int64_t)1 << 31;
    const int64_t high = product / unit - (product % unit < 0 ? 1 : 0); /* floor */
    return clamp(divide_half_away((int32_t)high, 1 << -r->shift[i]) + r->zero_point, r->min,
                 r->max);
}

void naive_dense(const nano_dense_params *p, const int32_t *bias, int32_t in_zero_point,
                 const int8_t *in, int8_t *out) {
    for (int32_t r = 0; r < p->rows; r++) {
        for (int32_t o = 0; o < p->out_features; o++) {
            int64_t acc = bias[o];
            for (int32_t i = 0; i < (int32_t)p->in_features; i++)
                acc += (in[r * (int32_t)p->in_features + i] - in_zero_point) *
                       p->weights[o * (int32_t)p->in_features + i];
            out[r * p->out_features + o] = requantize(acc, &p->requant, o);
        }
    }
}

/* The offset of channel c at tap (i, j) of pixel (y, x); -1 outside the image. */
static int32_t tap(const nano_window *w, int32_t y, int32_t x, int32_t i, int32_t j, int32_t c) {
    const int32_t row = y * w->stride_h + i * w->dilation_h - w->pad_top;
    const int32_t column = x * w->stride_w + j * w->dilation_w - w->pad_left;
    if (row < 0 || row >= w->in_h || column < 0 || column >= w->in_w)
        return -1;
    return (row * w->in_w + column) * w->in_c + c;
}

static int8_t conv2d_element(const nano_conv2d_params *p, const int32_t *bias, const int8_t *in,
                             int32_t y, int32_t x, int32_t o) {
    const nano_window *const w = &p->window;
    const int32_t n = w->in_c / p->groups;
    const int32_t first = o / (w->out_c / p->groups) * n;
    int64_t acc = bias[o];
    for (int32_t i = 0; i < w->kernel_h; i++)
        for (int32_t j = 0; j < w->kernel_w; j++)
            for (int32_t c = 0; c < n; c++) {
                const int32_t at = tap(w, y, x, i, j, first + c);
                const int32_t value = at < 0 ? 0 : in[at] - p->in_zero_point;
                acc += value * p->weights[((o * w->kernel_h + i) * w->kernel_w + j) * n + c];
            }
    return requantize(acc, &p->requant, o);
}

void naive_conv2d(const nano_conv2d_params *p, const int32_t *bias, const int8_t *in, int8_t *out) {
    for (int32_t y = 0; y < p->window.out_h; y++)
        for (int32_t x = 0; x < p->window.out_w; x++)
            for (int32_t o = 0; o < p->window.out_c; o++)
                *out++ = conv2d_element(p, bias, in, y, x, o);
}

void naive_depthwise_conv2d(const nano_depthwise_conv2d_params *p, const int8_t *weights,
                            const int32_t *bias, const int8_t *in, int8_t *out) {
    const nano_conv2d_params grouped = {weights,   bias,           p->requant,
                                        p->window, p->window.in_c, p->in_zero_point};
    naive_conv2d(&grouped, bias, in, out);
}

/* Does tap i of input position v reach output position y? */
static int reaches(int32_t v, int32_t stride, int32_t i, int32_t y, int32_t pad) {
    return v * stride + i == y + pad;
}

static int8_t conv_transpose2d_element(const nano_conv_transpose2d_params *p, const int8_t *in,
                                       int32_t y, int32_t x, int32_t o) {
    const nano_window *const w = &p->window;
    int64_t acc = p->bias[o];
    for (int32_t v = 0; v < w->in_h; v++)
        for (int32_t i = 0; i < w->kernel_h; i++)
            for (int32_t u = 0; u < w->in_w && reaches(v, w->stride_h, i, y, w->pad_top); u++)
                for (int32_t j = 0; j < w->kernel_w; j++)
                    for (int32_t c = 0; c < w->in_c && reaches(u, w->stride_w, j, x, w->pad_left);
                         c++)
                        acc += (in[(v * w->in_w + u) * w->in_c + c] - p->in_zero_point) *
                               p->weights[((o * w->kernel_h + i) * w->kernel_w + j) * w->in_c + c];
    return requantize(acc, &p->requant, o);
}

void naive_conv_transpose2d(const nano_conv_transpose2d_params *p, const int8_t *in, int8_t *out) {
    for (int32_t y = 0; y < p->window.out_h; y++)
        for (int32_t x = 0; x < p->window.out_w; x++)
            for (int32_t o = 0; o < p->window.out_c; o++)
                *out++ = conv_transpose2d_element(p, in, y, x, o);
}

typedef struct {
    int32_t sum, count, max;
} statistics;

static statistics look(const nano_window *w, const int8_t *in, int32_t y, int32_t x, int32_t c) {
    statistics s = {0, 0, -128};
    for (int32_t i = 0; i < w->kernel_h; i++)
        for (int32_t j = 0; j < w->kernel_w; j++) {
            const int32_t at = tap(w, y, x, i, j, c);
            if (at < 0)
                continue;
            s.sum += in[at];
            s.count++;
            if (in[at] > s.max)
                s.max = in[at];
        }
    return s;
}

void naive_max_pool(const nano_pool_params *p, const int8_t *in, int8_t *out) {
    for (int32_t y = 0; y < p->window.out_h; y++)
        for (int32_t x = 0; x < p->window.out_w; x++)
            for (int32_t c = 0; c < p->window.out_c; c++)
                *out++ = clamp(look(&p->window, in, y, x, c).max, p->min, p->max);
}

void naive_average_pool(const nano_pool_params *p, const int8_t *in, int8_t *out) {
    for (int32_t y = 0; y < p->window.out_h; y++)
        for (int32_t x = 0; x < p->window.out_w; x++)
            for (int32_t c = 0; c < p->window.out_c; c++) {
                const statistics s = look(&p->window, in, y, x, c);
                *out++ = clamp(divide_half_away(s.sum, s.count), p->min, p->max);
            }
}

int32_t naive_first_needed(const nano_window *w, int32_t groups, int32_t k, int32_t none) {
    const int32_t o = k % w->out_c, x = k / w->out_c % w->out_w, y = k / w->out_c / w->out_w;
    const int32_t c = o / (w->out_c / groups) * (w->in_c / groups);
    int32_t first = none;
    for (int32_t i = 0; i < w->kernel_h; i++)
        for (int32_t j = 0; j < w->kernel_w; j++) {
            const int32_t at = tap(w, y, x, i, j, c);
            if (at >= 0 && at < first)
                first = at;
        }
    return first;
}

int32_t naive_first_reaching(const nano_window *w, int32_t k, int32_t none) {
    const int32_t x = k / w->out_c % w->out_w, y = k / w->out_c / w->out_w;
    for (int32_t v = 0; v < w->in_h; v++)
        for (int32_t u = 0; u < w->in_w; u++)
            for (int32_t i = 0; i < w->kernel_h; i++)
                for (int32_t j = 0; j < w->kernel_w; j++)
                    if (reaches(v, w->stride_h, i, y, w->pad_top) &&
                        reaches(u, w->stride_w, j, x, w->pad_left))
                        return (v * w->in_w + u) * w->in_c;
    return none;
}
