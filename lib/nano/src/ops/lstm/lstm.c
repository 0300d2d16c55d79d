/* i, f, o = sigmoid(W x + R h + b), g = tanh(W x + R h + b); c = f c + i g; h = o tanh(c)
 * step by step; c lies in scratch, h in the output's row before. x: steps, I int8; h: S int8;
 * c: S int16; weights: S, 4, I + S int8, zero points folded into the biases. */
#include "nano/ops.h"

#include "../../gates.h"
#include "lstm.h"

static int32_t dot(const int8_t *a, const int8_t *b, uint32_t n) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void nano_lstm(const void *params, const nano_io *io) {
    const nano_lstm_params *const p = (const nano_lstm_params *)params;
    const int8_t *x = (const int8_t *)io->in[0];
    const int8_t *h = p->initial != NULL ? p->initial : (const int8_t *)io->in[1];
    int16_t *const c = (int16_t *)io->scratch;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t step = 0; step < p->steps; step++, x += p->in_features) {
        const int8_t *w = p->weights;
        const int32_t *bias = p->bias;
        for (uint32_t unit = 0; unit < p->units; unit++) {
            int32_t sums[NANO_LSTM_SUMS];
            for (uint32_t k = 0; k < NANO_LSTM_SUMS; k += 2) {
                sums[k] = *bias++ + dot(x, w, p->in_features);
                w += p->in_features;
                sums[k + 1] = *bias++ + dot(h, w, p->units);
                w += p->units;
            }
            out[unit] = nano_lstm_unit(p, sums, &c[unit]);
        }
        h = out;
        out += p->units;
    }
}
