/* int16.c - the arithmetic of a head in integers: int16 weights, int32 gradients, rounding by
 * chance. docs/training.md has the formats; tests/python/training_twins/int16.py is the twin, bit
 * by bit.
 *
 * Random words are drawn in a fixed order and number, whatever the values are. */
#include "work.h"

#define ERROR_BITS 12                    /* of a hidden layer, and of squares */
#define LARGEST_HIDDEN 4095              /* of an activation behind a ReLU */
#define ONE(bits) ((int32_t)1 << (bits)) /* 1 with `bits` fractional bits */

static int32_t clamp16(int32_t value) {
    return value < -INT16_MAX ? -INT16_MAX : value > INT16_MAX ? INT16_MAX : value;
}

/* value / 2^bits, to nearest, halves away from zero */
static int32_t rounded(int32_t value, uint32_t bits) {
    return nano_rounding_shift_right(value, (int)bits);
}

/* Fractional bits of the last layer's errors: cross-entropy's lie within +-1. */
static int32_t error_bits(const nano_train *head, uint32_t l) {
    const int last = l + 1 == head->config->layer_count;
    return last && head->config->loss == NANO_TRAIN_CROSS_ENTROPY ? 15 : ERROR_BITS;
}

/* What one step of a layer's input means. */
static nano_train_factor input_unit(const nano_train *head, uint32_t l) {
    return l == 0 ? nano_train_factor_of_float(head->config->feature_scale)
                  : nano_train_factor_of(1, -(int32_t)head->config->layers[l - 1].activation_bits);
}

/* --- Start and forward -------------------------------------------------------------------------
 */

/* Uniform in +-2^bits / sqrt(inputs): 31 random bits. */
static void start_weights(nano_train *head, uint32_t l, uint32_t count) {
    int16_t *const weights = (int16_t *)head->layer[l].weights;
    const nano_train_factor root = nano_train_root(nano_train_factor_of(head->layer[l].inputs, 0));
    const nano_train_factor bound =
        nano_train_over(nano_train_factor_of(1, head->config->layers[l].weight_bits - 31), root);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t bits = (int32_t)(nano_train_random(&head->record->random) ^ 0x80000000u);
        weights[i] = (int16_t)clamp16(nano_train_scale_to_nearest(bits, bound));
    }
}

static void start(nano_train *head, uint16_t l) {
    const nano_train_place *const place = &head->layer[l];
    const nano_train_layer *const layer = &head->config->layers[l];
    const uint32_t active = nano_train_active(head, l), count = active * place->inputs;
    if (layer->weights == NULL)
        start_weights(head, l, count);
    for (uint32_t i = 0; i < count && layer->weights != NULL; i++)
        ((int16_t *)place->weights)[i] = (int16_t)clamp16(((const int16_t *)layer->weights)[i]);
    for (uint32_t o = 0; o < active && layer->bias != NULL; o++)
        ((int32_t *)place->bias)[o] = nano_train_add(((const int32_t *)layer->bias)[o], 0);
}

/* How a layer's sums are cut: blocks of products below 2^30, each shifted right. */
typedef struct {
    uint32_t block; /* products: 2^15 * 2^8 * 128, or 2^15 * 2^12 * 8 */
    uint32_t shift;
} cut;

static cut cut_of(uint32_t l, uint32_t inputs) {
    cut c = {l == 0 ? 128 : 8, 0};
    c.shift = nano_train_log2_ceiling((inputs + c.block - 1) / c.block);
    return c;
}

/* sum w x / 2^shift */
static int32_t dot(const int16_t *w, const int16_t *x, uint32_t n, cut c) {
    int32_t total = 0;
    for (uint32_t i = 0; i < n;) {
        const uint32_t end = n - i > c.block ? i + c.block : n;
        int32_t sum = 0;
        for (; i < end; i++)
            sum += w[i] * x[i];
        total += rounded(sum, c.shift);
    }
    return total;
}

/* ReLU, and 2^-16 to 2^-bits, at most LARGEST_HIDDEN */
static int16_t activation(int32_t y, uint32_t bits) {
    const int32_t a = y <= 0 ? 0 : rounded(y, 16 - bits);
    return (int16_t)(a > LARGEST_HIDDEN ? LARGEST_HIDDEN : a);
}

static void forward_layer(nano_train *head, uint32_t l) {
    const nano_train_place *const place = &head->layer[l];
    const nano_train_layer *const layer = &head->config->layers[l];
    const int16_t *w = (const int16_t *)place->weights;
    const int32_t *const bias = (const int32_t *)place->bias;
    int32_t *const out = (int32_t *)head->outputs;
    const uint32_t active = nano_train_active(head, l);
    const cut c = cut_of(l, place->inputs);
    const nano_train_factor unit =
        nano_train_shifted(input_unit(head, l), (int32_t)c.shift + 16 - layer->weight_bits);
    for (uint32_t o = 0; o < active; o++) {
        const int32_t sum = dot(w, (const int16_t *)place->input, place->inputs, c);
        out[o] = nano_train_add(nano_train_scale_to_nearest(sum, unit), bias[o]);
        nano_train_observe(place->range, out[o]);
        w += place->inputs;
    }
    if (l + 1 == head->config->layer_count)
        return;
    int16_t *const next = (int16_t *)head->layer[l + 1].input;
    for (uint32_t o = 0; o < active; o++)
        next[o] = activation(out[o], layer->activation_bits);
}

static void forward(nano_train *head, const int8_t *features) {
    const nano_train_config *const config = head->config;
    int16_t *const input = (int16_t *)head->layer[0].input;
    for (uint32_t i = 0; i < config->features; i++)
        input[i] = (int16_t)(features[i] - config->feature_zero_point);
    for (uint32_t l = 0; l < config->layer_count; l++)
        forward_layer(head, l);
}

static uint16_t best(const nano_train *head) {
    const int32_t *const y = (const int32_t *)head->outputs;
    uint32_t first = 0;
    for (uint32_t o = 1; o < head->record->classes; o++)
        if (y[o] > y[first])
            first = o;
    return (uint16_t)first;
}

/* --- Loss and backward -------------------------------------------------------------------------
 */

/* error = softmax - onehot, 2^-15; loss = log(sum exp(y - max)) + max - y[label] */
static int32_t cross_entropy(nano_train *head, uint16_t label) {
    const int32_t *const y = (const int32_t *)head->outputs;
    int16_t *const error = (int16_t *)head->errors[0];
    const uint32_t classes = head->record->classes;
    const uint32_t lost = nano_train_log2_ceiling(classes); /* so that the sum fits: <= 14 */
    const int32_t max = y[best(head)];
    uint32_t sum = 0;
    for (uint32_t o = 0; o < classes; o++)
        sum += nano_train_exp((uint32_t)(max - y[o])) >> lost;
    const uint32_t less = 14 - lost; /* of 30 - lost bits 16 stay for the division */
    const uint32_t divisor = sum >> less;
    for (uint32_t o = 0; o < classes; o++) {
        const uint32_t e = nano_train_exp((uint32_t)(max - y[o])) >> lost >> less;
        const int32_t p = (int32_t)(((e << 15) + divisor / 2) / divisor);
        error[o] = (int16_t)clamp16(o == label ? p - ONE(15) : p);
    }
    const int32_t behind = max - y[label];
    if (behind >= (int32_t)2048 << 16)
        return INT32_MAX;
    const uint32_t loss = (uint32_t)behind * 16u + (uint32_t)nano_train_log(sum, 30 - lost);
    return loss > (uint32_t)INT32_MAX ? INT32_MAX : (int32_t)loss; /* it is below 2058 * 2^20 */
}

/* A finite float as an integer of 2^-16, within +-2^30. */
static int32_t fixed(float value) {
    const nano_train_factor magnitude = nano_train_factor_of_float(value);
    const int32_t whole = nano_train_scale_to_nearest((int32_t)1 << 16, magnitude);
    const int negative = nano_train_float_bits(value) >> 31 != 0;
    return nano_train_add(negative ? -whole : whole, 0);
}

/* distance^2 * 2^20 for a distance of 2^-16, saturating at 2^31 - 1 */
static uint32_t square(int32_t distance) {
    const uint32_t magnitude = (uint32_t)(distance < 0 ? -distance : distance);
    uint32_t high, low;
    nano_wide_product(magnitude, magnitude, &high, &low);
    return high >> 11 != 0 ? (uint32_t)INT32_MAX : high << 20 | low >> 12;
}

/* error = 2 (y - target) / classes, 2^-12; loss = mean (y - target)^2 */
static int32_t squares(nano_train *head, uint16_t label, const float *target) {
    const int32_t *const y = (const int32_t *)head->outputs;
    int16_t *const error = (int16_t *)head->errors[0];
    const int32_t classes = (int32_t)head->record->classes;
    uint32_t sum = 0;
    for (int32_t o = 0; o < classes; o++) {
        const int32_t hit = o == (int32_t)label ? ONE(16) : 0;
        const int32_t distance = y[o] - (target != NULL ? fixed(target[o]) : hit);
        const int32_t half = distance < 0 ? -4 * classes : 4 * classes;
        const int32_t bounded = nano_train_add(distance, 0); /* leaves room for the half */
        error[o] = (int16_t)clamp16((bounded + half) / (8 * classes));
        sum += square(distance) / (uint32_t)classes;
        sum = sum > (uint32_t)INT32_MAX ? (uint32_t)INT32_MAX : sum;
    }
    return (int32_t)sum;
}

static int32_t loss(nano_train *head, uint16_t label, const float *target) {
    return head->config->loss == NANO_TRAIN_MSE ? squares(head, label, target)
                                                : cross_entropy(head, label);
}

/* Bits that a product of error and input loses, so that a mini-batch of them fits. */
static uint32_t gradient_shift(const nano_train *head, uint32_t l) {
    const uint32_t bits = (l == 0 ? 23 : 27) + nano_train_log2_ceiling(head->recipe.batch);
    return bits > 30 ? bits - 30 : 0;
}

/* gradient += error * input / 2^shift; biases: += error */
static void accumulate(const nano_train_place *place, const int16_t *error, uint32_t active,
                       uint32_t shift) {
    const int16_t *const input = (const int16_t *)place->input;
    int32_t *gradient = (int32_t *)place->gradient;
    int32_t *const bias = gradient + nano_train_weights(place);
    for (uint32_t o = 0; o < active; o++) {
        for (uint32_t i = 0; i < place->inputs && shift == 0; i++)
            gradient[i] += error[o] * input[i];
        for (uint32_t i = 0; i < place->inputs && shift != 0; i++)
            gradient[i] += rounded(error[o] * input[i], shift);
        bias[o] += error[o];
        gradient += place->inputs;
    }
}

/* below[i] = sum_o w[o, i] error[o] where the ReLU below let through, else 0 */
static void pass_down(nano_train *head, uint32_t l, const int16_t *error, int16_t *below) {
    const nano_train_place *const place = &head->layer[l];
    const int16_t *const input = (const int16_t *)place->input;
    const int16_t *const weights = (const int16_t *)place->weights;
    const uint32_t active = nano_train_active(head, l);
    const uint32_t shift = nano_train_log2_ceiling(active); /* products below 2^30 */
    const nano_train_factor unit = nano_train_factor_of(
        1, (int32_t)shift + ERROR_BITS - error_bits(head, l) - head->config->layers[l].weight_bits);
    for (uint32_t i = 0; i < place->inputs; i++) {
        const uint32_t random = nano_train_random(&head->record->random);
        int32_t sum = 0;
        for (uint32_t o = 0; o < active; o++)
            sum += rounded(weights[(size_t)o * place->inputs + i] * error[o], shift);
        below[i] = (int16_t)(input[i] > 0 ? clamp16(nano_train_scale(sum, unit, random)) : 0);
    }
}

static void backward(nano_train *head) {
    uint32_t turn = 0;
    for (uint32_t l = head->config->layer_count; l-- > 0; turn ^= 1u) {
        const int16_t *const error = (const int16_t *)head->errors[turn];
        accumulate(&head->layer[l], error, nano_train_active(head, l), gradient_shift(head, l));
        if (l > 0)
            pass_down(head, l, error, (int16_t *)head->errors[turn ^ 1u]);
    }
}

/* --- Step --------------------------------------------------------------------------------------
 */

/* What one unit of a layer's gradients means: of weights, of biases. */
static nano_train_factor gradient_unit(const nano_train *head, uint32_t l, int biases) {
    const int32_t bits = error_bits(head, l);
    if (biases)
        return nano_train_factor_of(1, -bits);
    return nano_train_shifted(input_unit(head, l), (int32_t)gradient_shift(head, l) - bits);
}

/* Sum of squares of `count` integers: their highest 16 bits count. */
static nano_train_factor square_sum(const int32_t *values, uint32_t count) {
    uint32_t any = 0, shift = 0;
    for (uint32_t i = 0; i < count; i++)
        any |= (uint32_t)(values[i] < 0 ? -values[i] : values[i]);
    while (any >> shift > 0xFFFFu)
        shift++;
    uint32_t high = 0, low = 0; /* 64 bits; the parts of 2^32 and 1 */
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t m = (uint32_t)(values[i] < 0 ? -values[i] : values[i]) >> shift;
        low += m * m;
        high += low < m * m;
    }
    const nano_train_factor total =
        nano_train_plus(nano_train_factor_of(high, 32), nano_train_factor_of(low, 0));
    return nano_train_shifted(total, 2 * (int32_t)shift);
}

/* The norm of the sums of gradients. */
static nano_train_factor norm(const nano_train *head) {
    nano_train_factor total = {0, 0};
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const place = &head->layer[l];
        const int32_t *const g = (const int32_t *)place->gradient;
        const uint32_t weights = nano_train_weights(place);
        for (int biases = 0; biases < 2; biases++) {
            const nano_train_factor unit = gradient_unit(head, l, biases);
            const nano_train_factor sum =
                biases ? square_sum(g + weights, place->outputs) : square_sum(g, weights);
            total = nano_train_plus(total, nano_train_times(sum, nano_train_times(unit, unit)));
        }
    }
    return nano_train_root(total);
}

/* From sums of gradients to their clipped mean. */
static nano_train_factor mean_factor(const nano_train *head) {
    const nano_train_factor one = nano_train_factor_of(1, 0);
    const nano_train_factor count = nano_train_factor_of(head->pending, 0);
    const nano_train_factor clip = nano_train_factor_of_float(head->recipe.clip);
    if (clip.mantissa == 0)
        return nano_train_over(one, count);
    const nano_train_factor sums = norm(head);
    const int small = !nano_train_less(nano_train_times(clip, count), sums);
    return small ? nano_train_over(one, count) : nano_train_over(clip, sums);
}

/* What every parameter's update needs, in units of the gradients and of the parameters. */
typedef struct {
    nano_train_factor mean, decay, keep, rate;
} update;

static update prepare(const nano_train *head, uint32_t l, int biases, nano_train_factor mean) {
    const nano_train_recipe *const r = &head->recipe;
    const nano_train_factor unit = gradient_unit(head, l, biases);
    const int32_t bits = biases ? 16 : head->config->layers[l].weight_bits;
    const nano_train_factor decay = nano_train_factor_of_float(r->weight_decay);
    const nano_train_factor rate =
        nano_train_times(nano_train_factor_of_float(r->rate),
                         nano_train_factor_of(nano_train_rate_factor(r, head->record->steps), -31));
    const update u = {mean, nano_train_over(nano_train_shifted(decay, -bits), unit),
                      nano_train_factor_of_float(r->momentum),
                      nano_train_shifted(nano_train_times(rate, unit), bits)};
    return u;
}

/* What a parameter `w` loses: a step of momentum with gradient sum `sum`; `v` NULL: plain. */
static int32_t loss_of(const update *u, int32_t w, int32_t sum, int32_t *v, uint32_t *random) {
    int32_t g = nano_train_scale(sum, u->mean, nano_train_random(random));
    if (u->decay.mantissa != 0)
        g = nano_train_add(g, nano_train_scale(w, u->decay, nano_train_random(random)));
    if (v != NULL)
        g = *v = nano_train_add(nano_train_scale(*v, u->keep, nano_train_random(random)), g);
    return nano_train_scale(g, u->rate, nano_train_random(random));
}

static void step_weights(nano_train *head, const nano_train_place *place, uint32_t count,
                         const update *u) {
    int16_t *const w = (int16_t *)place->weights;
    int32_t *const g = (int32_t *)place->gradient, *const v = (int32_t *)place->moment[0];
    for (uint32_t i = 0; i < count; i++) {
        const int32_t lost =
            loss_of(u, w[i], g[i], v == NULL ? NULL : &v[i], &head->record->random);
        w[i] = (int16_t)clamp16(nano_train_add(w[i], -lost));
        g[i] = 0;
    }
}

static void step_biases(nano_train *head, const nano_train_place *place, uint32_t count,
                        const update *u) {
    const uint32_t weights = nano_train_weights(place);
    int32_t *const b = (int32_t *)place->bias, *const g = (int32_t *)place->gradient + weights;
    int32_t *const v = (int32_t *)place->moment[0];
    for (uint32_t i = 0; i < count; i++) {
        const int32_t lost =
            loss_of(u, b[i], g[i], v == NULL ? NULL : &v[weights + i], &head->record->random);
        b[i] = nano_train_add(b[i], -lost);
        g[i] = 0;
    }
}

static void step(nano_train *head) {
    const nano_train_factor mean = mean_factor(head);
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const place = &head->layer[l];
        const uint32_t active = nano_train_active(head, l);
        const update weights = prepare(head, l, 0, mean), biases = prepare(head, l, 1, mean);
        step_weights(head, place, active * place->inputs, &weights);
        step_biases(head, place, active, &biases);
    }
}

/* --- What others ask ---------------------------------------------------------------------------
 */

static nano_train_number number(int32_t value, int32_t bits) {
    const nano_train_number result = {value < 0 ? 0u - (uint32_t)value : (uint32_t)value, -bits,
                                      value < 0};
    return result;
}

static nano_train_number weight(const nano_train_place *place, uint8_t bits, uint32_t i) {
    return number(((const int16_t *)place->weights)[i], bits);
}

static nano_train_number bias(const nano_train_place *place, uint32_t i) {
    return number(((const int32_t *)place->bias)[i], 16);
}

const nano_train_arithmetic nano_train_int16 = {sizeof(int16_t), 1,    start,  forward, best, loss,
                                                backward,        step, weight, bias};
