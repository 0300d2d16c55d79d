/* Saved training states from anywhere: restored or refused; what is refused changes nothing, and
 * with what is restored every call works inside the head's memory.
 *
 * 3 bytes choose the head and how much of the record is set right, so that more than the record is
 * looked at; the rest is the saved state. */
#include "../c/fuzz.h"

#include <string.h>

#include "nano/nano.h"
#include "nano/train.h"

#define FEATURES 8u
#define MOST 4096u

static nano_train_layer layers[2] = {
    {.outputs = 5, .weight_bits = 12, .activation_bits = 8},
    {.outputs = 4, .weight_bits = 12},
};

static nano_train_config config_of(uint32_t how) {
    const int real = how % 2 != 0;
    nano_train_config config = {
        .backbone = "0123456789abcdef",
        .features = FEATURES,
        .feature_scale = 0.0625f,
        .arithmetic = real ? &nano_train_float32 : &nano_train_int16,
        .optimizer = (nano_train_optimizer)(how / 2 % (real ? 3 : 2)),
        .replay = (nano_train_replay)(how / 8 % 2),
        .replay_slots = how / 16 % 2 ? 6 : 0,
        .class_means = how / 32 % 2,
        .layer_count = how / 64 % 2 ? 2 : 1,
        .classes = 3,
        .layers = how / 64 % 2 ? layers : &layers[1],
        .anomaly = how / 16 % 2    ? NANO_TRAIN_NEAREST
                   : how / 128 % 2 ? NANO_TRAIN_GAUSSIAN
                                   : NANO_TRAIN_NO_ANOMALY,
        .alarm = {.threshold = 1000, .quantile = 900, .margin = 1500, .needed = 2, .window = 3},
        .seed = 7,
        .recipe = {.rate = 0.05f,
                   .momentum = 0.9f,
                   .beta1 = 0.9f,
                   .beta2 = 0.999f,
                   .epsilon = 1e-8f,
                   .schedule = NANO_TRAIN_CONSTANT,
                   .batch = 2},
    };
    return config;
}

/* Whatever the state, no call leaves the memory or computes what C does not define. */
static void use(nano_train *head) {
    int8_t features[FEATURES] = {1, -128, 127, 5, -20, 60, 0, -1};
    const int8_t *outputs, *recalled;
    uint16_t label = 0;
    nano_train_result result;
    nano_train_opinion opinion;
    (void)nano_train_score(head, features, &opinion);
    (void)nano_train_calibrate(head, NULL);
    for (uint16_t i = 0; i < 4; i++) {
        features[i] = (int8_t)(features[i] ^ i);
        (void)nano_train_sample(head, features, i, &result);
        (void)nano_train_evaluate(head, features, i, &result);
        (void)nano_train_remember(head, features, i);
        (void)nano_train_add_to_mean(head, features, i);
        (void)nano_train_learn(head, features, i % 2, i);
        (void)nano_train_score(head, features, &opinion);
    }
    (void)nano_train_calibrate(head, NULL);
    (void)nano_train_recall(head, &recalled, &label);
    (void)nano_train_rehearse(head, 3, &result);
    (void)nano_train_flush(head);
    (void)nano_train_add_class(head, &label);
    (void)nano_train_nearest_mean(head, features, &label);
    if (nano_train_quantize(head) == NANO_OK)
        FUZZ_CHECK(nano_train_infer(head, features, &outputs) == NANO_OK);
}

static void try(nano_train *head, uint32_t how, uint8_t *state, size_t size) {
    nano_train_record record;
    size_t whole;
    const uint8_t *const ours = nano_train_state(head, NANO_TRAIN_SAVE_ALL, &whole);
    FUZZ_CHECK(ours != NULL && whole <= MOST);
    if (how % 4 != 0 && size >= sizeof record) {
        /* As long as one of the parts; the record's identity, and with 3 all of it, are right. */
        size = nano_train_state_size(head, (nano_train_part)(how / 4 % 3));
        memcpy(&record, state, sizeof record);
        const nano_train_record *const right = (const nano_train_record *)(const void *)ours;
        if (how % 4 == 3)
            record = *right;
        record.layout = right->layout;
        record.config = right->config;
        record.size = (uint32_t)size;
        memcpy(state, &record, sizeof record);
    }
    uint8_t *const before = (uint8_t *)malloc(whole), *const given = (uint8_t *)malloc(size + 1);
    FUZZ_CHECK(before != NULL && given != NULL);
    memcpy(before, ours, whole);
    memcpy(given, state, size);
    const nano_status status = nano_train_restore(head, given, size);
    if (status != NANO_OK)
        FUZZ_CHECK(memcmp(before, nano_train_state(head, NANO_TRAIN_SAVE_ALL, &whole), whole) == 0);
    free(before);
    free(given);
    use(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t state[MOST];
    fuzz_input in = {data, data + size};
    const nano_train_config config = config_of(fuzz_byte(&in));
    const uint32_t how = fuzz_byte(&in), fold = fuzz_byte(&in);
    const size_t room = nano_train_arena_size(&config);
    nano_train head;
    nano_arena arena;
    void *bytes = NULL;
    FUZZ_CHECK(posix_memalign(&bytes, 16, room) == 0);
    FUZZ_CHECK(nano_arena_init(&arena, (uint8_t *)bytes, room) == NANO_OK);
    FUZZ_CHECK(nano_train_init(&head, &config, &arena) == NANO_OK);
    /* A short input is repeated, or followed by zeros. */
    const size_t count = (size_t)(in.end - in.at) < MOST ? (size_t)(in.end - in.at) : MOST;
    for (size_t i = 0; i < MOST; i++)
        state[i] = i < count ? in.at[i] : fold % 2 != 0 && count > 0 ? in.at[i % count] : 0;
    try(&head, how, state, how % 4 == 0 ? count : MOST);
    free(bytes);
    return 0;
}
