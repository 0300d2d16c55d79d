/* int16.c - the arithmetic of a head in integers: int16 weights, int32 gradients, rounding by
 * chance. docs/training.md has the formats; tests/python/training_twins/int16.py is the twin, bit
 * by bit.
 *
 * Random words are drawn in a fixed order and number, whatever the values are. */
#include "int16.h"

#include "../simd.h"

#define LARGEST_HIDDEN 4095              /* of an activation behind a ReLU */
#define ONE(bits) ((int32_t)1 << (bits)) /* 1 with `bits` fractional bits */

static int32_t clamp16(int32_t value) {
    return value < -INT16_MAX ? -INT16_MAX : value > INT16_MAX ? INT16_MAX : value;
}

/* value / 2^bits, to nearest, halves away from zero */
static int32_t rounded(int32_t value, uint32_t bits) {
    return nano_rounding_shift_right(value, (int)bits);
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

/* sums[k] = sum of w[k * pitch + i] x[i] over one block or less, for `rows` rows, 1 or 2 */
static inline void products(const int16_t *w, uint32_t pitch, uint32_t rows, const int16_t *x,
                            uint32_t n, int32_t sums[2]) {
    const int16_t *const end = x + n, *other = w + (rows > 1 ? pitch : 0);
    int32_t a = 0, b = 0;
#if NANO_SIMD
    for (uint32_t eights = n / 8; eights != 0; eights--, x += 8, w += 8, other += 8) {
        const nano_halves x0 = nano_load_unaligned(x), x1 = nano_load_unaligned(x + 2);
        a = nano_smlad(nano_load_unaligned(w), x0, a);
        b = nano_smlad(nano_load_unaligned(other), x0, b);
        a = nano_smlad(nano_load_unaligned(w + 2), x1, a);
        b = nano_smlad(nano_load_unaligned(other + 2), x1, b);
        const nano_halves x2 = nano_load_unaligned(x + 4), x3 = nano_load_unaligned(x + 6);
        a = nano_smlad(nano_load_unaligned(w + 4), x2, a);
        b = nano_smlad(nano_load_unaligned(other + 4), x2, b);
        a = nano_smlad(nano_load_unaligned(w + 6), x3, a);
        b = nano_smlad(nano_load_unaligned(other + 6), x3, b);
    }
#endif
    for (; x != end; x++) {
        a += *w++ * *x;
        b += *other++ * *x;
    }
    sums[0] = a;
    sums[1] = b;
}

/* out[k] = sum w x / 2^shift of `rows` rows, 1 or 2 */
static void dots(const int16_t *w, uint32_t rows, const int16_t *x, uint32_t n, cut c,
                 int32_t out[2]) {
    out[0] = out[1] = 0;
    for (uint32_t i = 0; i < n; i += c.block) {
        int32_t sums[2];
        products(w + i, n, rows, x + i, n - i > c.block ? c.block : n - i, sums);
        out[0] += rounded(sums[0], c.shift);
        out[1] += rounded(sums[1], c.shift);
    }
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
    const nano_train_factor unit = nano_train_shifted(nano_train_input_unit(head, l),
                                                      (int32_t)c.shift + 16 - layer->weight_bits);
    for (uint32_t o = 0; o < active; o += 2) {
        const uint32_t rows = active - o > 1 ? 2 : 1;
        int32_t sums[2];
        dots(w, rows, (const int16_t *)place->input, place->inputs, c, sums);
        for (uint32_t k = 0; k < rows; k++) {
            out[o + k] = nano_train_add(nano_train_scale_to_nearest(sums[k], unit), bias[o + k]);
            nano_train_observe(place->range, out[o + k]);
        }
        w += 2 * place->inputs;
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

#if NANO_SIMD
/* gradient[0..3] += the halves of x and y * e.low; what lies behind the four */
static inline int32_t *add_four(int32_t *gradient, nano_halves x, nano_halves y, nano_halves e) {
#if NANO_SIMD_NATIVE
    __asm__("ldmia %0, {r4-r6, r8}\n\t" /* gcc 12 loads and stores words one by one */
            "smlabb r4, %1, %3, r4\n\t"
            "smlatb r5, %1, %3, r5\n\t"
            "smlabb r6, %2, %3, r6\n\t"
            "smlatb r8, %2, %3, r8\n\t"
            "stmia %0!, {r4-r6, r8}"
            : "+r"(gradient)
            : "r"(x), "r"(y), "r"(e)
            : "r4", "r5", "r6", "r8", "memory");
    return gradient;
#else
    gradient[0] = nano_smlabb(x, e, gradient[0]);
    gradient[1] = nano_smlatb(x, e, gradient[1]);
    gradient[2] = nano_smlabb(y, e, gradient[2]);
    gradient[3] = nano_smlatb(y, e, gradient[3]);
    return gradient + 4;
#endif
}
#endif

/* gradient += error * input / 2^shift */
static void add_products(int32_t *gradient, int32_t error, const int16_t *input, uint32_t count,
                         uint32_t shift) {
    const int16_t *const end = input + count;
#if NANO_SIMD
    const nano_halves e = (nano_halves)error;
    for (uint32_t eights = shift == 0 ? count / 8 : 0; eights != 0; eights--, input += 8) {
        gradient =
            add_four(gradient, nano_load_unaligned(input), nano_load_unaligned(input + 2), e);
        gradient =
            add_four(gradient, nano_load_unaligned(input + 4), nano_load_unaligned(input + 6), e);
    }
#endif
    for (; input != end && shift == 0; input++)
        *gradient++ += error * *input;
    for (; input != end; input++)
        *gradient++ += rounded(error * *input, shift);
}

/* Weights: as add_products(); biases: += error */
static void accumulate(const nano_train_place *place, const int16_t *error, uint32_t active,
                       uint32_t shift) {
    int32_t *gradient = (int32_t *)place->gradient;
    int32_t *const bias = gradient + nano_train_weights(place);
    for (uint32_t o = 0; o < active; o++) {
        add_products(gradient, error[o], (const int16_t *)place->input, place->inputs, shift);
        bias[o] += error[o];
        gradient += place->inputs;
    }
}

/* sum_o w[o, column] error[o]; `pitch` weights lie between two rows */
static nano_train_sum down_column(const int16_t *w, uint32_t pitch, const int16_t *error,
                                  uint32_t rows) {
    nano_train_sum sum = {0, 0};
    for (uint32_t o = 0; o < rows; o++, w += pitch)
        sum = nano_train_add_halves(sum, *w, error[o]);
    return sum;
}

/* below[i] = sum_o w[o, i] error[o] where the ReLU below let through, else 0; rounded by chance */
static void pass_down(nano_train *head, uint32_t l, const int16_t *error, int16_t *below) {
    const nano_train_place *const place = &head->layer[l];
    const int16_t *const input = (const int16_t *)place->input;
    const int16_t *const weights = (const int16_t *)place->weights;
    const uint32_t active = nano_train_active(head, l);
    const uint32_t bits = head->config->layers[l].weight_bits +
                          (uint32_t)(nano_train_error_bits(head, l) - NANO_TRAIN_ERROR_BITS);
    for (uint32_t i = 0; i < place->inputs; i++) {
        const nano_train_sum chance =
            nano_train_random_part(nano_train_random(&head->record->random), bits);
        below[i] = 0;
        if (input[i] <= 0)
            continue;
        nano_train_sum sum = down_column(weights + i, place->inputs, error, active);
        sum = nano_train_add_word(sum, (int32_t)chance.low);
        below[i] = (int16_t)clamp16(nano_train_shift_down(sum, bits));
    }
}

static void backward(nano_train *head) {
    uint32_t turn = 0;
    for (uint32_t l = head->config->layer_count; l-- > 0; turn ^= 1u) {
        const int16_t *const error = (const int16_t *)head->errors[turn];
        accumulate(&head->layer[l], error, nano_train_active(head, l),
                   nano_train_gradient_shift(head, l));
        if (l > 0)
            pass_down(head, l, error, (int16_t *)head->errors[turn ^ 1u]);
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

const nano_train_arithmetic nano_train_int16 = {
    sizeof(int16_t), 1, start, forward, best, loss, backward, nano_train_int16_step, weight, bias};
