/* int8_head.c - from a trained head to an int8 one, by nanotool's rules, and running it. */
#include "work.h"

#include "double.h"

#define RANGE_LIMIT ((int32_t)1 << 30)
#define BIAS_LIMIT ((uint32_t)1 << 30)
#define LEAST_SCALE_EXPONENT (-96) /* 2^-96: of weights that are all 0 */

/* A tensor's quantization. */
typedef struct {
    float scale;
    int32_t zero_point;
} grid;

static nano_train_double real_of(nano_train_number number) {
    return nano_train_double_of(number.mantissa, number.exponent);
}

static nano_train_number weight_at(const nano_train *head, uint32_t l, uint32_t i) {
    return head->config->arithmetic->weight(&head->layer[l], head->config->layers[l].weight_bits,
                                            i);
}

/* |a| < |b| of two numbers of a layer: they have the same exponent, or are normalized floats. */
static int is_less(nano_train_number a, nano_train_number b) {
    if (a.mantissa == 0 || b.mantissa == 0)
        return b.mantissa != 0;
    return a.exponent != b.exponent ? a.exponent < b.exponent : a.mantissa < b.mantissa;
}

/* --- Scales ------------------------------------------------------------------------------------
 */

static int32_t limited(int32_t value) {
    return value < -RANGE_LIMIT ? -RANGE_LIMIT : value > RANGE_LIMIT ? RANGE_LIMIT : value;
}

/* The grid that covers a layer's outputs and 0, with 0 exact. */
static grid output_grid(const nano_train *head, uint32_t l) {
    const int last = l + 1 == head->config->layer_count;
    int32_t low = limited(head->layer[l].range[0]);
    int32_t high = limited(head->layer[l].range[1]);
    if (!last)
        low = 0; /* behind the ReLU */
    uint32_t below = 0u - (uint32_t)low, span = (uint32_t)high + below;
    if (last) {
        const uint32_t margin = span / 16;
        below += margin;
        span += 2 * margin;
    }
    const nano_train_double width = nano_train_double_of(span, 0);
    const nano_train_double steps = nano_train_double_of(255, 0);
    grid result = {1.0f, -128}; /* always 0: any scale will do */
    if (span == 0)
        return result;
    nano_train_double scale = nano_train_double_ratio(width, steps);
    scale.exponent -= 16;
    result.scale = nano_train_double_to_float(scale);
    const nano_train_double reach = nano_train_double_whole_product(below, 255);
    result.zero_point +=
        (int32_t)nano_train_double_to_integer(nano_train_double_ratio(reach, width), 255);
    return result;
}

/* max |w| / 127 of a channel, raised where its bias would not fit (2^29 steps) or its factor would
 * vanish (2^-28). */
static float weight_scale(const nano_train *head, uint32_t l, uint32_t o, grid in, grid out) {
    const nano_train_place *const place = &head->layer[l];
    nano_train_number most = {0, 0, 0};
    for (uint32_t i = 0; i < place->inputs; i++) {
        const nano_train_number w = weight_at(head, l, o * place->inputs + i);
        most = is_less(most, w) ? w : most;
    }
    nano_train_double scale = nano_train_double_ratio(real_of(most), nano_train_double_of(127, 0));
    const nano_train_double tiny = nano_train_double_of(1, LEAST_SCALE_EXPONENT);
    const nano_train_double source = nano_train_double_of_float(in.scale);
    nano_train_double reach =
        nano_train_double_ratio(real_of(head->config->arithmetic->bias(place, o)), source);
    nano_train_double least =
        nano_train_double_ratio(nano_train_double_of_float(out.scale), source);
    reach.exponent -= reach.mantissa == 0 ? 0 : 29;
    least.exponent -= 28;
    if (nano_train_double_less(least, reach))
        least = reach;
    if (nano_train_double_less(scale, tiny))
        scale = tiny;
    if (nano_train_double_less(scale, least))
        scale = least;
    return nano_train_double_to_float(scale);
}

/* --- Integers ----------------------------------------------------------------------------------
 */

/* |number| / scale to nearest, ties to even: long division of 24-bit mantissas. At most 127: no
 * number is larger than the one that the scale was made for. */
static int8_t quantized_weight(nano_train_number number, float scale) {
    const uint32_t bits = nano_train_float_bits(scale);
    const uint32_t divisor = (bits & 0x007FFFFFu) | 0x00800000u;
    uint32_t rest = number.mantissa, quotient = 0;
    if (rest == 0)
        return 0;
    int32_t shift = number.exponent - ((int32_t)(bits >> 23) - 150);
    for (; rest < 0x00800000u; shift--)
        rest <<= 1;
    if (shift < -1)
        return 0;
    if (shift == -1) { /* between 1/4 and 1: more than 1/2? */
        quotient = rest > divisor;
    } else {
        for (;; rest <<= 1, shift--) {
            quotient = quotient << 1 | (rest >= divisor);
            rest -= rest >= divisor ? divisor : 0;
            if (shift == 0)
                break;
        }
        quotient += 2 * rest > divisor || (2 * rest == divisor && (quotient & 1u) != 0);
    }
    return (int8_t)(number.negative ? -(int32_t)quotient : (int32_t)quotient);
}

/* One output's weights, bias (zero point folded in), multiplier. 0 if no multiplier fits. */
static int quantize_channel(const nano_train *head, uint32_t l, uint32_t o, grid in, grid out) {
    const nano_train_place *const place = &head->layer[l];
    const float scale = weight_scale(head, l, o, in, out);
    int32_t sum = 0;
    for (uint32_t i = o * place->inputs; i < (o + 1) * place->inputs; i++) {
        place->int8_weights[i] = quantized_weight(weight_at(head, l, i), scale);
        sum += place->int8_weights[i];
    }
    const nano_train_double step = nano_train_double_product(in.scale, scale);
    const nano_train_number bias = head->config->arithmetic->bias(place, o);
    const int32_t magnitude = (int32_t)nano_train_double_to_integer(
        nano_train_double_ratio(real_of(bias), step), BIAS_LIMIT);
    place->int8_bias[o] = (bias.negative ? -magnitude : magnitude) - in.zero_point * sum;
    return nano_train_double_to_multiplier(
        nano_train_double_ratio(step, nano_train_double_of_float(out.scale)), &place->multiplier[o],
        &place->shift[o]);
}

static void describe(nano_train *head, uint32_t l, grid out) {
    const nano_train_place *const place = &head->layer[l];
    const int last = l + 1 == head->config->layer_count;
    nano_dense_params *const dense = &head->dense[l];
    dense->weights = place->int8_weights;
    dense->bias = place->int8_bias;
    dense->requant.multiplier = place->multiplier;
    dense->requant.shift = place->shift;
    dense->requant.per_channel = 1;
    dense->requant.zero_point = (int16_t)out.zero_point;
    dense->requant.min = (int16_t)(last ? -128 : out.zero_point);
    dense->requant.max = 127;
    dense->rows = 1;
    dense->in_features = place->inputs;
    dense->out_features = (uint16_t)nano_train_active(head, l);
}

/* The current weights' outputs over the replay buffer widen the ranges. */
static void observe_replay(nano_train *head) {
    for (uint32_t slot = 0; slot < head->record->replay_used; slot++)
        head->config->arithmetic->forward(head, head->replay_features +
                                                    (size_t)slot * head->config->features);
}

nano_status nano_train_quantize(nano_train *head) {
    if (head == NULL)
        return NANO_ERR_ARGUMENT;
    head->quantized = 0;
    observe_replay(head);
    grid in = {head->config->feature_scale, head->config->feature_zero_point};
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const grid out = output_grid(head, l);
        for (uint32_t o = 0; o < nano_train_active(head, l); o++)
            if (!quantize_channel(head, l, o, in, out))
                return NANO_ERR_RANGE;
        describe(head, l, out);
        in = out;
    }
    head->scale = in.scale;
    head->zero_point = (int16_t)in.zero_point;
    head->quantized = 1;
    return NANO_OK;
}

nano_status nano_train_infer(nano_train *head, const int8_t *features, const int8_t **outputs) {
    if (head == NULL || features == NULL || outputs == NULL)
        return NANO_ERR_ARGUMENT;
    if (!head->quantized)
        return NANO_ERR_STATE;
    const int8_t *in = features;
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        int8_t *const out = head->int8_outputs[l & 1u];
        const nano_io io = {{in, NULL}, out, NULL};
        nano_dense(&head->dense[l], &io);
        in = out;
    }
    *outputs = in;
    return NANO_OK;
}
