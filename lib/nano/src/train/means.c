/* means.c - the nearest class mean, in integers. */
#include "work.h"

nano_status nano_train_add_to_mean(nano_train *head, const int8_t *features, uint16_t label) {
    const nano_status status = nano_train_check_sample(head, features, label);
    if (status != NANO_OK)
        return status;
    if (head->mean_sums == NULL || head->mean_counts[label] == NANO_TRAIN_MEAN_LIMIT)
        return NANO_ERR_STATE;
    const uint32_t count = head->config->features;
    int32_t *const sums = head->mean_sums + (size_t)label * count;
    for (uint32_t i = 0; i < count; i++)
        sums[i] += features[i];
    head->mean_counts[label]++;
    return NANO_OK;
}

/* Squared distance of the features from a class's mean, in 1/256; up to 2^14 * 2^24. */
static uint64_t distance(const nano_train *head, const int8_t *features, uint32_t label) {
    const uint32_t count = head->config->features;
    const int32_t *const sums = head->mean_sums + (size_t)label * count;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t d =
            16 * features[i] - nano_train_mean_of(sums[i], (int32_t)head->mean_counts[label]);
        total += (uint32_t)(d * d);
    }
    return total;
}

nano_status nano_train_nearest_mean(const nano_train *head, const int8_t *features,
                                    uint16_t *label) {
    if (head == NULL || features == NULL || label == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->mean_sums == NULL)
        return NANO_ERR_STATE;
    uint64_t least = UINT64_MAX;
    for (uint32_t c = 0; c < head->record->classes; c++) {
        if (head->mean_counts[c] == 0)
            continue;
        const uint64_t d = distance(head, features, c);
        if (d < least) {
            least = d;
            *label = (uint16_t)c;
        }
    }
    return least == UINT64_MAX ? NANO_ERR_STATE : NANO_OK;
}
