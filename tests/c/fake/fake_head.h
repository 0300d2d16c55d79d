/* fake_head.h - a head of two layers that learns behind a model of the tests. */
#ifndef FAKE_HEAD_H
#define FAKE_HEAD_H

#include "nano/train.h"

static const nano_train_layer fake_layers[] = {
    {.outputs = 5, .weight_bits = 12, .activation_bits = 8},
    {.outputs = 4, .weight_bits = 12},
};

/* The `nano_train_config` of such a head on COUNT features. */
#define FAKE_HEAD(COUNT)                                                                           \
    {                                                                                              \
        .backbone = "0123456789abcdef", .features = COUNT, .feature_zero_point = 0,                \
        .feature_scale = 0.0625f, .arithmetic = &nano_train_int16,                                 \
        .loss = NANO_TRAIN_CROSS_ENTROPY, .optimizer = NANO_TRAIN_MOMENTUM,                        \
        .replay = NANO_TRAIN_BALANCED, .replay_slots = 6, .class_means = 1, .layer_count = 2,      \
        .classes = 3, .layers = fake_layers, .seed = 7, .anomaly = NANO_TRAIN_NEAREST,             \
        .alarm = {.threshold = NANO_TRAIN_NO_THRESHOLD,                                            \
                  .quantile = 900,                                                                 \
                  .margin = 1500,                                                                  \
                  .needed = 2,                                                                     \
                  .window = 3},                                                                    \
        .recipe = {.rate = 0.05f, .momentum = 0.9f, .schedule = NANO_TRAIN_CONSTANT, .batch = 4},  \
    }

#endif
