/* config.c - is a head possible, how large is it, what do its saved bytes mean. */
#include "work.h"

NANO_STATIC_ASSERT(sizeof(nano_train_record) == NANO_TRAIN_RECORD_SIZE, record_has_its_size);

/* A finite float >= 0 by its bits: cores without FPU need no comparison. */
static int is_real(float value) {
    return nano_train_float_bits(value) < 0x7F800000u;
}

static int is_positive(float value) {
    return is_real(value) && nano_train_float_bits(value) != 0;
}

/* 0 <= value < 1; with `one`, 1 is allowed, too. */
static int is_fraction(float value, uint32_t one) {
    return nano_train_float_bits(value) < 0x3F800000u + one;
}

nano_status nano_train_check_recipe(const nano_train_recipe *recipe,
                                    nano_train_optimizer optimizer) {
    if (!is_positive(recipe->rate) || !is_real(recipe->weight_decay) || !is_real(recipe->clip))
        return NANO_ERR_ARGUMENT;
    if (recipe->batch == 0 || recipe->batch > NANO_TRAIN_MAX_BATCH)
        return NANO_ERR_ARGUMENT;
    if (optimizer == NANO_TRAIN_MOMENTUM && !is_fraction(recipe->momentum, 0))
        return NANO_ERR_ARGUMENT;
    if (optimizer == NANO_TRAIN_ADAM &&
        (!is_fraction(recipe->beta1, 0) || !is_fraction(recipe->beta2, 0) ||
         !is_positive(recipe->epsilon)))
        return NANO_ERR_ARGUMENT;
    switch (recipe->schedule) {
    case NANO_TRAIN_CONSTANT:
        return NANO_OK;
    case NANO_TRAIN_STEP:
        return recipe->period > 0 && is_fraction(recipe->gamma, 1) ? NANO_OK : NANO_ERR_ARGUMENT;
    case NANO_TRAIN_COSINE:
        return recipe->period > 0 ? NANO_OK : NANO_ERR_ARGUMENT;
    }
    return NANO_ERR_ARGUMENT;
}

nano_status nano_train_check_alarm(const nano_train_alarm *alarm) {
    return alarm->quantile == 0 || alarm->quantile > 1000 || alarm->margin == 0 ||
                   alarm->needed == 0 || alarm->needed > alarm->window ||
                   alarm->window > NANO_TRAIN_MAX_VOTES || alarm->reserved != 0
               ? NANO_ERR_ARGUMENT
               : NANO_OK;
}

static nano_status check_anomaly(const nano_train_config *config) {
    if (config->anomaly == NANO_TRAIN_NO_ANOMALY)
        return NANO_OK;
    if (config->anomaly != NANO_TRAIN_NEAREST && config->anomaly != NANO_TRAIN_GAUSSIAN)
        return NANO_ERR_ARGUMENT;
    if (config->anomaly == NANO_TRAIN_NEAREST && config->replay_slots == 0)
        return NANO_ERR_ARGUMENT;
    return nano_train_check_alarm(&config->alarm);
}

static nano_status check_choices(const nano_train_config *config) {
    if (config == NULL || config->backbone == NULL || config->arithmetic == NULL ||
        config->layers == NULL)
        return NANO_ERR_ARGUMENT;
    if (config->loss != NANO_TRAIN_CROSS_ENTROPY && config->loss != NANO_TRAIN_MSE)
        return NANO_ERR_ARGUMENT;
    if (config->optimizer != NANO_TRAIN_SGD && config->optimizer != NANO_TRAIN_MOMENTUM &&
        config->optimizer != NANO_TRAIN_ADAM)
        return NANO_ERR_ARGUMENT;
    if (nano_train_moments(config->optimizer) > config->arithmetic->max_moments)
        return NANO_ERR_ARGUMENT;
    if (config->replay != NANO_TRAIN_RESERVOIR && config->replay != NANO_TRAIN_BALANCED)
        return NANO_ERR_ARGUMENT;
    if (config->layer_count == 0 || config->layer_count > NANO_TRAIN_MAX_LAYERS ||
        config->class_means > 1)
        return NANO_ERR_ARGUMENT;
    if (config->feature_zero_point < -128 || config->feature_zero_point > 127 ||
        check_anomaly(config) != NANO_OK)
        return NANO_ERR_ARGUMENT;
    return is_positive(config->feature_scale) ? NANO_OK : NANO_ERR_RANGE;
}

static int is_width(uint32_t width) {
    return width > 0 && width <= NANO_TRAIN_MAX_WIDTH;
}

static int layer_is_possible(const nano_train_layer *layer) {
    return layer->weight_bits <= 15 && layer->activation_bits <= 16 && layer->low <= 0 &&
           layer->high >= 0;
}

nano_status nano_train_measure(const nano_train_config *config, nano_train_sizes *sizes) {
    const nano_status status = check_choices(config);
    if (status != NANO_OK)
        return status;
    const nano_train_sizes empty = {config->arithmetic->element,
                                    config->features,
                                    0,
                                    0,
                                    0,
                                    config->layer_count,
                                    0,
                                    nano_train_moments(config->optimizer),
                                    config->replay_slots,
                                    config->class_means,
                                    (uint32_t)config->anomaly};
    *sizes = empty;
    uint32_t inputs = config->features;
    if (!is_width(inputs))
        return NANO_ERR_SHAPE;
    for (uint32_t l = 0; l < config->layer_count; l++) {
        const nano_train_layer *const layer = &config->layers[l];
        if (!is_width(layer->outputs))
            return NANO_ERR_SHAPE;
        if (!layer_is_possible(layer))
            return NANO_ERR_ARGUMENT;
        if (inputs * layer->outputs > NANO_TRAIN_MAX_WEIGHTS - sizes->weights)
            return NANO_ERR_SHAPE; /* 17 * 2^26 bytes, means and replay of 2^30 each: below 2^32 */
        sizes->weights += inputs * layer->outputs;
        sizes->hidden += sizes->outputs;
        sizes->outputs = layer->outputs;
        sizes->widest = layer->outputs > sizes->widest ? layer->outputs : sizes->widest;
        inputs = layer->outputs;
    }
    return config->classes == 0 || config->classes > inputs
               ? NANO_ERR_SHAPE
               : nano_train_check_recipe(&config->recipe, config->optimizer);
}

size_t nano_train_arena_size(const nano_train_config *config) {
    nano_train_sizes s;
    if (nano_train_measure(config, &s) != NANO_OK)
        return 0;
    return NANO_TRAIN_ARENA_SIZE(s.element, s.features, s.hidden, s.outputs, s.widest, s.layers,
                                 s.weights, s.moments, s.slots, s.means) +
           NANO_TRAIN_ANOMALY_SIZE(s.anomaly, s.features, s.slots);
}

/* FNV-1a, 32 bits, the number's low byte first. */
static uint32_t digest(uint32_t hash, uint32_t number) {
    for (int i = 0; i < 4; i++, number >>= 8)
        hash = (hash ^ (number & 0xFFu)) * 16777619u;
    return hash;
}

uint32_t nano_train_hash(const nano_train_config *config) {
    uint32_t hash = 2166136261u;
    for (const char *c = config->backbone; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    hash = digest(hash, config->features);
    hash = digest(hash, (uint32_t)(int32_t)config->feature_zero_point);
    hash = digest(hash, nano_train_float_bits(config->feature_scale));
    hash = digest(hash, config->arithmetic->element);
    hash = digest(hash, (uint32_t)config->optimizer);
    hash = digest(hash, (uint32_t)config->replay);
    hash = digest(hash, config->replay_slots);
    hash = digest(hash, config->class_means);
    hash = digest(hash, config->layer_count);
    for (uint32_t l = 0; l < config->layer_count; l++) {
        hash = digest(hash, config->layers[l].outputs);
        hash = digest(hash, config->layers[l].weight_bits);
        hash = digest(hash, config->layers[l].activation_bits);
    }
    if (config->anomaly != NANO_TRAIN_NO_ANOMALY)
        hash = digest(hash, (uint32_t)config->anomaly);
    return hash;
}
