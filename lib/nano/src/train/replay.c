/* replay.c - a buffer of samples to train on again, so that old classes are not forgotten. */
#include "work.h"

static int8_t *slot_features(const nano_train *head, uint32_t slot) {
    return head->replay_features + (size_t)slot * head->config->features;
}

/* The class that holds the most slots, the first of equals. */
static uint32_t largest_class(const nano_train *head) {
    uint32_t best = 0;
    for (uint32_t c = 1; c < head->record->classes; c++)
        if (head->replay_held[c] > head->replay_held[best])
            best = c;
    return best;
}

/* A slot of class `label` by chance; it holds at least one. */
static uint32_t slot_of_class(nano_train *head, uint32_t label) {
    uint32_t skip = nano_train_random_below(&head->record->random, head->replay_held[label]);
    uint32_t slot = 0;
    while (head->replay_labels[slot] != label || skip-- > 0)
        slot++;
    return slot;
}

/* The slot that a full buffer gives to the newest sample of `label`; the number of slots: none. */
static uint32_t replaced_slot(nano_train *head, uint16_t label) {
    nano_train_record *const record = head->record;
    const uint32_t slots = head->config->replay_slots;
    if (head->config->replay == NANO_TRAIN_RESERVOIR) {
        const uint32_t n = nano_train_random_below(&record->random, record->replay_seen);
        return n < slots ? n : slots;
    }
    const uint32_t largest = largest_class(head);
    if (head->replay_held[label] < head->replay_held[largest])
        return slot_of_class(head, largest);
    const uint32_t n = nano_train_random_below(&record->random, head->replay_offered[label]);
    return n < head->replay_held[label] ? slot_of_class(head, label) : slots;
}

nano_status nano_train_remember(nano_train *head, const int8_t *features, uint16_t label) {
    const nano_status status = nano_train_check_sample(head, features, label);
    return status == NANO_OK ? nano_train_keep(head, features, label, 0) : status;
}

nano_status nano_train_keep(nano_train *head, const int8_t *features, uint16_t label,
                            uint16_t recording) {
    if (head->replay_features == NULL || head->record->replay_seen == UINT32_MAX)
        return NANO_ERR_STATE;
    nano_train_record *const record = head->record;
    record->replay_seen++;
    head->replay_offered[label]++;
    uint32_t slot;
    if (record->replay_used < head->config->replay_slots) {
        slot = record->replay_used++;
    } else {
        slot = replaced_slot(head, label);
        if (slot == head->config->replay_slots)
            return NANO_OK;
        head->replay_held[head->replay_labels[slot]]--;
    }
    head->replay_held[label]++;
    head->replay_labels[slot] = label;
    if (head->recordings != NULL)
        head->recordings[slot] = recording;
    int8_t *const copy = slot_features(head, slot);
    for (uint32_t i = 0; i < head->config->features; i++)
        copy[i] = features[i];
    return NANO_OK;
}

static uint32_t random_slot(nano_train *head) {
    return nano_train_random_below(&head->record->random, head->record->replay_used);
}

nano_status nano_train_recall(nano_train *head, const int8_t **features, uint16_t *label) {
    if (head == NULL || features == NULL || label == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->record->replay_used == 0)
        return NANO_ERR_STATE;
    const uint32_t slot = random_slot(head);
    *features = slot_features(head, slot);
    *label = head->replay_labels[slot];
    return NANO_OK;
}

nano_status nano_train_rehearse(nano_train *head, uint16_t count, nano_train_result *result) {
    if (head == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->record->replay_used == 0)
        return NANO_ERR_STATE;
    for (uint16_t i = 0; i < count; i++) {
        const uint32_t slot = random_slot(head);
        (void)nano_train_sample(head, slot_features(head, slot), head->replay_labels[slot], result);
    }
    return NANO_OK;
}
