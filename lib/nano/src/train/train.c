/* train.c - a head's life: its memory, its samples, its classes. */
#include "work.h"

uint32_t nano_train_active(const nano_train *head, uint32_t layer) {
    return layer + 1 == head->config->layer_count ? head->record->classes
                                                  : head->layer[layer].outputs;
}

/* --- Memory ------------------------------------------------------------------------------------
 */

/* The next `bytes` bytes, rounded up to 4; NULL for none. */
static void *take(uint8_t **next, uint32_t bytes) {
    void *const start = bytes == 0 ? NULL : *next;
    *next += NANO_TRAIN_PAD(bytes);
    return start;
}

/* `base` + `bytes`; NULL stays NULL. */
static void *behind(void *base, uint32_t bytes) {
    return base == NULL ? NULL : (uint8_t *)base + bytes;
}

/* The arrays that all layers have one behind the other. */
typedef struct {
    void *weights, *bias, *range, *moment[2], *gradient, *input;
    void *int8_weights, *int8_bias, *multiplier, *shift;
} arrays;

/* Cut one layer's part off the front of each array. */
static void place_layer(nano_train_place *place, arrays *a, uint32_t element) {
    const uint32_t weights = nano_train_weights(place), outputs = place->outputs;
    place->weights = a->weights;
    place->bias = a->bias;
    place->range = (int32_t *)a->range;
    place->gradient = a->gradient;
    place->input = a->input;
    place->int8_weights = (int8_t *)a->int8_weights;
    place->int8_bias = (int32_t *)a->int8_bias;
    place->multiplier = (int32_t *)a->multiplier;
    place->shift = (int8_t *)a->shift;
    for (int m = 0; m < 2; m++) {
        place->moment[m] = a->moment[m];
        a->moment[m] = behind(a->moment[m], 4 * (weights + outputs));
    }
    a->weights = behind(a->weights, element * weights);
    a->bias = behind(a->bias, 4 * outputs);
    a->range = behind(a->range, 8);
    a->gradient = behind(a->gradient, 4 * (weights + outputs));
    a->input = behind(a->input, element * place->inputs);
    a->int8_weights = behind(a->int8_weights, weights);
    a->int8_bias = behind(a->int8_bias, 4 * outputs);
    a->multiplier = behind(a->multiplier, 4 * outputs);
    a->shift = behind(a->shift, outputs);
}

/* Where everything is, in the order of train.h. */
static void place_all(nano_train *head, const nano_train_sizes *s, uint8_t *base) {
    const uint32_t biases = s->hidden + s->outputs, parameters = s->weights + biases;
    uint8_t *next = base;
    arrays a;
    head->record = (nano_train_record *)take(&next, NANO_TRAIN_RECORD_SIZE);
    a.weights = take(&next, s->element * s->weights);
    a.bias = take(&next, 4 * biases);
    a.range = take(&next, 8 * s->layers);
    head->mean_sums = (int32_t *)take(&next, 4 * s->means * s->outputs * s->features);
    head->mean_counts = (uint32_t *)take(&next, 4 * s->means * s->outputs);
    const uint32_t nearest = s->anomaly == NANO_TRAIN_NEAREST ? s->slots : 0;
    const uint32_t gaussian = s->anomaly == NANO_TRAIN_GAUSSIAN ? s->features : 0;
    head->normal_sums = (int32_t *)take(&next, 4 * gaussian);
    head->normal_squares = (uint32_t *)take(&next, 4 * gaussian);
    for (uint32_t m = 0; m < 2; m++)
        a.moment[m] = take(&next, m < s->moments ? 4 * parameters : 0);
    const uint32_t counts = s->slots == 0 ? 0 : 4 * s->outputs;
    head->replay_held = (uint32_t *)take(&next, counts);
    head->replay_offered = (uint32_t *)take(&next, counts);
    head->replay_labels = (uint16_t *)take(&next, s->slots * (s->features + 2));
    head->replay_features = (int8_t *)behind(head->replay_labels, 2 * s->slots);
    head->recordings = (uint16_t *)take(&next, 2 * nearest);
    a.gradient = take(&next, 4 * parameters);
    a.input = take(&next, s->element * (s->features + s->hidden));
    head->outputs = take(&next, 4 * s->widest);
    for (int i = 0; i < 2; i++)
        head->errors[i] = take(&next, s->element * s->widest);
    a.int8_weights = take(&next, s->weights);
    a.int8_bias = take(&next, 4 * biases);
    a.multiplier = take(&next, 4 * biases);
    a.shift = take(&next, biases);
    for (int i = 0; i < 2; i++)
        head->int8_outputs[i] = (int8_t *)take(&next, s->widest);
    head->distances = (uint32_t *)take(&next, 4 * nearest);
    head->normal_weights = (uint16_t *)take(&next, 4 * gaussian);
    head->normal_means = (int16_t *)behind(head->normal_weights, 2 * gaussian);
    uint16_t inputs = head->config->features;
    for (uint32_t l = 0; l < s->layers; l++) {
        head->layer[l].inputs = inputs;
        head->layer[l].outputs = inputs = head->config->layers[l].outputs;
        place_layer(&head->layer[l], &a, s->element);
    }
}

nano_status nano_train_init(nano_train *head, const nano_train_config *config, nano_arena *arena) {
    nano_train_sizes sizes;
    if (head == NULL || arena == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_status status = nano_train_measure(config, &sizes);
    if (status != NANO_OK)
        return status;
    uint8_t *const base =
        (uint8_t *)nano_arena_alloc(arena, nano_train_arena_size(config), NANO_ALIGN);
    if (base == NULL)
        return NANO_ERR_MEMORY;
    head->config = config;
    head->recipe = config->recipe;
    place_all(head, &sizes, base);
    return nano_train_reset(head);
}

nano_status nano_train_reset(nano_train *head) {
    if (head == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_train_config *const config = head->config;
    uint8_t *const bytes = (uint8_t *)head->record;
    const size_t size = nano_train_arena_size(config);
    for (size_t i = 0; i < size; i++)
        bytes[i] = 0;
    head->record->layout = NANO_TRAIN_LAYOUT;
    head->record->config = nano_train_hash(config);
    head->record->random = config->seed;
    head->record->classes = config->classes;
    if (config->anomaly != NANO_TRAIN_NO_ANOMALY)
        head->record->alarm = config->alarm;
    head->votes = 0;
    head->pending = 0;
    head->quantized = head->fitted = 0;
    for (uint16_t l = 0; l < config->layer_count; l++) {
        head->layer[l].range[0] = config->layers[l].low;
        head->layer[l].range[1] = config->layers[l].high;
        config->arithmetic->start(head, l);
    }
    return NANO_OK;
}

nano_status nano_train_set_recipe(nano_train *head, const nano_train_recipe *recipe) {
    if (head == NULL || recipe == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->pending != 0)
        return NANO_ERR_STATE;
    const nano_status status = nano_train_check_recipe(recipe, head->config->optimizer);
    if (status == NANO_OK)
        head->recipe = *recipe;
    return status;
}

/* --- Samples -----------------------------------------------------------------------------------
 */

nano_status nano_train_check_sample(const nano_train *head, const int8_t *features,
                                    uint16_t label) {
    return head == NULL || features == NULL || label >= head->record->classes ? NANO_ERR_ARGUMENT
                                                                              : NANO_OK;
}

/* The ranges shrink by 1/64. */
static void fade_ranges(nano_train *head) {
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        int32_t *const range = head->layer[l].range;
        range[0] -= range[0] / 64;
        range[1] -= range[1] / 64;
    }
}

nano_status nano_train_flush(nano_train *head) {
    if (head == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->pending == 0)
        return NANO_OK;
    head->config->arithmetic->step(head);
    fade_ranges(head);
    head->pending = 0;
    head->record->steps++;
    return NANO_OK;
}

/* Forward and loss; the sample's arguments are checked. */
static void judge(nano_train *head, const int8_t *features, uint16_t label, const float *target,
                  nano_train_result *result) {
    const nano_train_arithmetic *const arithmetic = head->config->arithmetic;
    arithmetic->forward(head, features);
    const int32_t loss = arithmetic->loss(head, label, target);
    if (result == NULL)
        return;
    result->loss = loss;
    result->predicted = arithmetic->best(head);
    result->stepped = 0;
}

static void learn(nano_train *head, const int8_t *features, uint16_t label, const float *target,
                  nano_train_result *result) {
    judge(head, features, label, target, result);
    head->config->arithmetic->backward(head);
    head->record->samples++;
    if (++head->pending < head->recipe.batch)
        return;
    (void)nano_train_flush(head);
    if (result != NULL)
        result->stepped = 1;
}

nano_status nano_train_sample(nano_train *head, const int8_t *features, uint16_t label,
                              nano_train_result *result) {
    const nano_status status = nano_train_check_sample(head, features, label);
    if (status == NANO_OK)
        learn(head, features, label, NULL, result);
    return status;
}

/* NANO_OK if there is a target for each active output, and the loss takes one. */
static nano_status check_target(const nano_train *head, const int8_t *features,
                                const float *target) {
    const nano_status status = nano_train_check_sample(head, features, 0);
    if (status != NANO_OK)
        return status;
    if (head->config->loss != NANO_TRAIN_MSE)
        return NANO_ERR_STATE;
    if (target == NULL)
        return NANO_ERR_ARGUMENT;
    for (uint32_t o = 0; o < head->record->classes; o++)
        if ((nano_train_float_bits(target[o]) & 0x7FFFFFFFu) >= 0x7F800000u)
            return NANO_ERR_ARGUMENT; /* infinite or NaN */
    return NANO_OK;
}

nano_status nano_train_sample_target(nano_train *head, const int8_t *features, const float *target,
                                     nano_train_result *result) {
    const nano_status status = check_target(head, features, target);
    if (status == NANO_OK)
        learn(head, features, 0, target, result);
    return status;
}

nano_status nano_train_evaluate_target(nano_train *head, const int8_t *features,
                                       const float *target, nano_train_result *result) {
    const nano_status status = check_target(head, features, target);
    if (status == NANO_OK)
        judge(head, features, 0, target, result);
    return status;
}

nano_status nano_train_evaluate(nano_train *head, const int8_t *features, uint16_t label,
                                nano_train_result *result) {
    const nano_status status = nano_train_check_sample(head, features, label);
    if (status == NANO_OK)
        judge(head, features, label, NULL, result);
    return status;
}

nano_status nano_train_add_class(nano_train *head, uint16_t *label) {
    if (head == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->pending != 0)
        return NANO_ERR_STATE;
    if (head->record->classes == head->layer[head->config->layer_count - 1].outputs)
        return NANO_ERR_MEMORY;
    if (label != NULL) /* its row has been 0 since nano_train_reset() */
        *label = (uint16_t)head->record->classes;
    head->record->classes++;
    return NANO_OK;
}
