/* state.c - the bytes that persist, given out and taken back. */
#include "work.h"

#include "../product.h"

size_t nano_train_state_size(const nano_train *head, nano_train_part part) {
    nano_train_sizes s;
    if (head == NULL || nano_train_measure(head->config, &s) != NANO_OK)
        return 0;
    const size_t first = NANO_TRAIN_HEAD_SIZE(s.element, s.features, s.hidden, s.outputs, s.layers,
                                              s.weights, s.means) +
                         (s.anomaly == NANO_TRAIN_GAUSSIAN ? 8 * (size_t)s.features : 0);
    const size_t moments = 4 * (size_t)s.moments * (s.weights + s.hidden + s.outputs);
    switch (part) {
    case NANO_TRAIN_SAVE_HEAD:
        return first;
    case NANO_TRAIN_SAVE_OPTIMIZER:
        return first + moments;
    case NANO_TRAIN_SAVE_ALL:
        return first + moments + NANO_TRAIN_REPLAY_SIZE(s.features, s.outputs, s.slots) +
               (s.anomaly == NANO_TRAIN_NEAREST ? NANO_TRAIN_PAD(2 * s.slots) : 0);
    }
    return 0;
}

const uint8_t *nano_train_state(nano_train *head, nano_train_part part, size_t *size) {
    const size_t bytes = nano_train_state_size(head, part);
    if (bytes == 0 || size == NULL)
        return NULL;
    head->record->size = (uint32_t)bytes;
    *size = bytes;
    return (const uint8_t *)head->record;
}

static void copy(void *to, const void *from, size_t size) {
    uint8_t *const out = (uint8_t *)to;
    const uint8_t *const in = (const uint8_t *)from;
    for (size_t i = 0; i < size; i++)
        out[i] = in[i];
}

static void clear(uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        bytes[i] = 0;
}

/* --- Are saved bytes what they should be? ------------------------------------------------------
 *
 * They lie as in the head's memory, but need not be aligned. */

/* The saved word that would come to `place`, plus `index` words. */
static uint32_t word_of(const nano_train *head, const uint8_t *bytes, const void *place,
                        size_t index) {
    const size_t offset = (size_t)((const uint8_t *)place - (const uint8_t *)head->record);
    uint32_t word;
    copy(&word, bytes + offset + 4 * index, sizeof word);
    return word;
}

/* The record fits this head and so many bytes. */
static nano_status check_record(const nano_train *head, const nano_train_record *record,
                                size_t size) {
    const nano_train_config *const config = head->config;
    if (record->layout != NANO_TRAIN_LAYOUT || record->config != head->record->config)
        return NANO_ERR_ABI;
    if (record->size != size || record->classes == 0 ||
        record->classes > head->layer[config->layer_count - 1].outputs ||
        record->replay_used > config->replay_slots || record->replay_used > record->replay_seen)
        return NANO_ERR_ARGUMENT;
    return NANO_OK;
}

/* `count` words from `place` on are finite floats. */
static int are_finite(const nano_train *head, const uint8_t *bytes, const void *place,
                      size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((word_of(head, bytes, place, i) & 0x7F800000u) == 0x7F800000u)
            return 0;
    return 1;
}

/* Float32: every parameter, and every moment among the bytes, is finite. */
static int parameters_fit(const nano_train *head, const uint8_t *bytes, int moments) {
    int good = 1;
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const p = &head->layer[l];
        const size_t weights = nano_train_weights(p), all = weights + p->outputs;
        good = good && are_finite(head, bytes, p->weights, weights) &&
               are_finite(head, bytes, p->bias, p->outputs);
        for (int m = 0; moments && m < 2; m++)
            good = good && (p->moment[m] == NULL || are_finite(head, bytes, p->moment[m], all));
    }
    return good;
}

/* Integers: every moment among the bytes is one that a step leaves. */
static int moments_fit(const nano_train *head, const uint8_t *bytes) {
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const p = &head->layer[l];
        const size_t all = nano_train_weights(p) + p->outputs;
        for (size_t i = 0; p->moment[0] != NULL && i < all; i++)
            if (word_of(head, bytes, p->moment[0], i) + ((uint32_t)1 << 30) > INT32_MAX)
                return 0;
    }
    return 1;
}

/* Ranges hold 0; class sums are sums of that many int8. */
static int observations_fit(const nano_train *head, const uint8_t *bytes) {
    for (uint32_t l = 0; l < head->config->layer_count; l++)
        if ((int32_t)word_of(head, bytes, head->layer[l].range, 0) > 0 ||
            (int32_t)word_of(head, bytes, head->layer[l].range, 1) < 0)
            return 0;
    const uint32_t classes = head->layer[head->config->layer_count - 1].outputs;
    for (size_t c = 0; head->mean_sums != NULL && c < classes; c++) {
        const uint32_t count = word_of(head, bytes, head->mean_counts, c);
        if (count > NANO_TRAIN_MEAN_LIMIT)
            return 0;
        for (size_t i = 0; i < head->config->features; i++) /* the sum + 128 count: 0..255 count */
            if (word_of(head, bytes, head->mean_sums, c * head->config->features + i) +
                    128 * count >
                255 * count)
                return 0;
    }
    return 1;
}

/* The alarm's numbers are in range; a Gaussian's sums are those of so many int8. */
static int anomaly_fits(const nano_train *head, const nano_train_record *record,
                        const uint8_t *bytes) {
    if (head->config->anomaly == NANO_TRAIN_NO_ANOMALY)
        return 1;
    if (nano_train_check_alarm(&record->alarm) != NANO_OK)
        return 0;
    if (head->normal_sums == NULL)
        return 1;
    const uint32_t count = record->learned; /* 2^14 times it is below 2^32 */
    if (count > NANO_TRAIN_MAX_LEARNED)
        return 0;
    for (size_t i = 0; i < head->config->features; i++) {
        const uint32_t sum = word_of(head, bytes, head->normal_sums, i);
        const uint32_t squares = word_of(head, bytes, head->normal_squares, i);
        const uint32_t negative = sum >> 31, size = negative ? 0u - sum : sum;
        if (size > (127u + negative) * count || squares > 16384u * count ||
            nano_product(size, size) > nano_product(count, squares))
            return 0;
    }
    return 1;
}

/* Every label is a class, and each class holds as many slots as it says. */
static int replay_fits(const nano_train *head, const nano_train_record *record,
                       const uint8_t *bytes) {
    const uint32_t classes = head->layer[head->config->layer_count - 1].outputs;
    if (head->replay_labels == NULL)
        return 1;
    const size_t offset =
        (size_t)((const uint8_t *)head->replay_labels - (const uint8_t *)head->record);
    for (uint32_t c = 0; c < classes; c++) {
        uint32_t count = 0;
        for (size_t slot = 0; slot < record->replay_used; slot++) {
            uint16_t label;
            copy(&label, bytes + offset + 2 * slot, sizeof label);
            if (label >= record->classes)
                return 0;
            count += label == c;
        }
        if (word_of(head, bytes, head->replay_held, c) != count)
            return 0;
    }
    return 1;
}

static int contents_fit(const nano_train *head, const nano_train_record *record,
                        const uint8_t *bytes, nano_train_part part) {
    const int real = head->config->arithmetic->element == sizeof(float);
    const int moments = part >= NANO_TRAIN_SAVE_OPTIMIZER;
    return (real ? parameters_fit(head, bytes, moments) : !moments || moments_fit(head, bytes)) &&
           observations_fit(head, bytes) && anomaly_fits(head, record, bytes) &&
           (part < NANO_TRAIN_SAVE_ALL || replay_fits(head, record, bytes));
}

nano_status nano_train_restore(nano_train *head, const uint8_t *bytes, size_t size) {
    if (head == NULL || bytes == NULL || size < sizeof(nano_train_record))
        return NANO_ERR_ARGUMENT;
    nano_train_record record;
    copy(&record, bytes, sizeof record);
    const nano_status status = check_record(head, &record, size);
    if (status != NANO_OK)
        return status;
    int part = NANO_TRAIN_SAVE_ALL; /* parts of the same size: the later one */
    while (part >= 0 && nano_train_state_size(head, (nano_train_part)part) != size)
        part--;
    if (part < 0 || !contents_fit(head, &record, bytes, (nano_train_part)part))
        return NANO_ERR_ARGUMENT;
    uint8_t *const memory = (uint8_t *)head->record;
    copy(memory, bytes, size);
    clear(memory + size, nano_train_arena_size(head->config) - size);
    if (part < NANO_TRAIN_SAVE_ALL)
        head->record->replay_used = head->record->replay_seen = 0;
    if (part < NANO_TRAIN_SAVE_ALL && head->config->anomaly == NANO_TRAIN_NEAREST)
        head->record->learned = 0; /* they were in the replay buffer */
    if (part < NANO_TRAIN_SAVE_OPTIMIZER)
        head->record->steps = 0;
    head->votes = 0;
    head->pending = 0;
    head->quantized = head->fitted = 0;
    return NANO_OK;
}
