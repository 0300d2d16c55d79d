/* work.h - what the parts of the trainer share (internal). */
#ifndef NANO_TRAIN_WORK_H
#define NANO_TRAIN_WORK_H

#include "nano/train.h"

#include "fixed.h"

/* (-1)^negative * mantissa * 2^exponent: a float, or an integer with a binary point. */
typedef struct {
    uint32_t mantissa;
    int32_t exponent;
    int negative;
} nano_train_number;

/* The arithmetic of a head: forward, loss, backward, step work on the newest sample, whose traces
 * are in the head's buffers. */
struct nano_train_arithmetic {
    uint16_t element;     /* bytes of a weight, an activation, an error */
    uint16_t max_moments; /* 2: Adam, too */
    /* Write a layer's first weights and biases; rows of classes not active yet are cleared. */
    void (*start)(nano_train *head, uint16_t layer);
    /* Compute the outputs, observe their range. */
    void (*forward)(nano_train *head, const int8_t *features);
    /* The active class with the largest output. */
    uint16_t (*best)(const nano_train *head);
    /* Loss * 2^20, and the errors of the last layer into errors[0]. target NULL: by label. */
    int32_t (*loss)(nano_train *head, uint16_t label, const float *target);
    /* Add to the gradients. */
    void (*backward)(nano_train *head);
    /* Update the weights, clear the gradients. */
    void (*step)(nano_train *head);
    nano_train_number (*weight)(const nano_train_place *place, uint8_t bits, uint32_t i);
    nano_train_number (*bias)(const nano_train_place *place, uint32_t i);
};

/* Most samples of a class mean: 16 * 128 * 2^19 = 2^30. */
#define NANO_TRAIN_MEAN_LIMIT ((uint32_t)1 << 19)

/* Outputs of a layer that take part: of the last one, the active classes. */
uint32_t nano_train_active(const nano_train *head, uint32_t layer);

/* Weights of a layer, also the place of its biases in gradients and moments. */
static inline uint32_t nano_train_weights(const nano_train_place *place) {
    return (uint32_t)place->inputs * place->outputs;
}

/* How many moments an optimizer keeps for a parameter: 0, 1, 2. */
static inline uint32_t nano_train_moments(nano_train_optimizer optimizer) {
    return optimizer == NANO_TRAIN_ADAM ? 2 : optimizer == NANO_TRAIN_MOMENTUM ? 1 : 0;
}

/* Widen a layer's observed range to hold `value`, 2^-16. */
static inline void nano_train_observe(int32_t range[2], int32_t value) {
    if (value < range[0])
        range[0] = value;
    if (value > range[1])
        range[1] = value;
}

/* The sizes of a head's parts, in the macros' terms (train.h). */
typedef struct {
    uint32_t element, features, hidden, outputs, widest, layers, weights, moments, slots, means;
    uint32_t anomaly;
} nano_train_sizes;

/* NANO_OK, and the sizes, if a head can be made of `config`. */
nano_status nano_train_measure(const nano_train_config *config, nano_train_sizes *sizes);

nano_status nano_train_check_recipe(const nano_train_recipe *recipe,
                                    nano_train_optimizer optimizer);

/* NANO_OK if every number of an alarm is in range. */
nano_status nano_train_check_alarm(const nano_train_alarm *alarm);

/* 16 * sum / count, to nearest, halves away from zero. */
static inline int32_t nano_train_mean_of(int32_t sum, int32_t count) {
    const int32_t half = sum < 0 ? -(count / 2) : count / 2;
    return (16 * sum + half) / count;
}

/* nano_train_remember() of a sample that is checked, as part of a recording. */
nano_status nano_train_keep(nano_train *head, const int8_t *features, uint16_t label,
                            uint16_t recording);

/* NANO_OK if `label` is an active class and nothing is NULL. */
nano_status nano_train_check_sample(const nano_train *head, const int8_t *features, uint16_t label);

#endif
