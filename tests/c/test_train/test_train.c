/* Training a head: it learns, in integers with the same bytes everywhere; what is refused changes
 * nothing. */
#include "../check/check.h"

#include "nano/train.h"

#define FEATURES 12
#define HIDDEN 8
#define CLASSES 4
#define SLOTS 15
#define FLOAT_SIZE                                                                                 \
    NANO_TRAIN_ARENA_SIZE(4u, FEATURES, HIDDEN, CLASSES, HIDDEN, 2u,                               \
                          FEATURES *HIDDEN + HIDDEN * CLASSES, 2u, SLOTS, 1u)
#define INT16_SIZE                                                                                 \
    NANO_TRAIN_ARENA_SIZE(2u, FEATURES, HIDDEN, CLASSES, HIDDEN, 2u,                               \
                          FEATURES *HIDDEN + HIDDEN * CLASSES, 1u, SLOTS, 1u)
NANO_STATIC_ASSERT(INT16_SIZE < FLOAT_SIZE, integers_are_smaller);

NANO_ALIGNED static uint8_t bytes[FLOAT_SIZE];
static uint8_t saved[FLOAT_SIZE + 1];
static nano_arena arena;
static nano_train head;

static const nano_train_layer layers[2] = {{HIDDEN, 12, 8, NULL, NULL, 0, 0},
                                           {CLASSES, 12, 0, NULL, NULL, 0, 0}};

#define FAR_CLASSES 16
static const int32_t far_bias[FAR_CLASSES] = {
    1 - 2048 * 65536 /* and the others 0 */
};

static nano_train_config config_of(const nano_train_arithmetic *arithmetic,
                                   nano_train_optimizer optimizer) {
    const nano_train_config config = {
        "0123456789abcdef",
        FEATURES,
        3,
        0.02f,
        arithmetic,
        NANO_TRAIN_CROSS_ENTROPY,
        optimizer,
        NANO_TRAIN_BALANCED,
        SLOTS,
        1,
        2,
        CLASSES,
        layers,
        7,
        {0.05f, 0.9f, 0.001f, 0.9f, 0.999f, 1e-8f, 2.0f, NANO_TRAIN_COSINE, 5, 200, 1.0f, 4},
        NANO_TRAIN_NO_ANOMALY,
        {NANO_TRAIN_NO_THRESHOLD, 900, 1500, 2, 3, 0}};
    return config;
}

/* The n-th sample: class n % CLASSES, a pattern of that class and noise. */
static uint16_t sample(uint32_t n, int8_t features[FEATURES]) {
    uint32_t pattern = 77 + n % CLASSES, noise = n * 2654435761u + 1;
    for (int i = 0; i < FEATURES; i++)
        features[i] = (int8_t)(check_between(&pattern, -80, 80) + check_between(&noise, -40, 40));
    return (uint16_t)(n % CLASSES);
}

static void begin(const nano_train_config *config) {
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_train_init(&head, config, &arena));
}

static void train(uint32_t from, uint32_t to) {
    int8_t x[FEATURES];
    for (uint32_t n = from; n < to; n++) {
        const uint16_t label = sample(n, x);
        CHECK_EQUAL(NANO_OK, nano_train_sample(&head, x, label, NULL));
        CHECK_EQUAL(NANO_OK, nano_train_remember(&head, x, label));
        CHECK_EQUAL(NANO_OK, nano_train_add_to_mean(&head, x, label));
        CHECK_EQUAL(NANO_OK, nano_train_rehearse(&head, 1, NULL));
    }
    CHECK_EQUAL(NANO_OK, nano_train_flush(&head));
}

static uint32_t digest(const uint8_t *data, size_t size) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

/* How many of 100 new samples each head gets right. */
static void check_knowledge(int32_t least) {
    int32_t real = 0, int8 = 0, nearest = 0;
    int8_t x[FEATURES];
    CHECK_EQUAL(NANO_OK, nano_train_quantize(&head));
    for (uint32_t n = 1000; n < 1100; n++) {
        const uint16_t label = sample(n, x);
        nano_train_result result;
        const int8_t *y;
        uint16_t mean, best = 0;
        CHECK_EQUAL(NANO_OK, nano_train_evaluate(&head, x, label, &result));
        CHECK_EQUAL(NANO_OK, nano_train_infer(&head, x, &y));
        CHECK_EQUAL(NANO_OK, nano_train_nearest_mean(&head, x, &mean));
        for (uint16_t c = 1; c < CLASSES; c++)
            best = y[c] > y[best] ? c : best;
        real += result.predicted == label;
        int8 += best == label;
        nearest += mean == label;
    }
    CHECK(real >= least);
    CHECK(int8 >= least);
    CHECK(nearest >= least);
}

static void test_float32_learns(void) {
    const nano_train_config config = config_of(&nano_train_float32, NANO_TRAIN_ADAM);
    begin(&config);
    CHECK_EQUAL(FLOAT_SIZE, arena.used);
    CHECK_EQUAL(FLOAT_SIZE, nano_train_arena_size(&config));
    train(0, 300);
    CHECK_EQUAL(150, head.record->steps);
    check_knowledge(97);
}

/* The digest is of all bytes that persist: the same on every target and with every compiler. */
static void test_int16_learns_the_same_everywhere(void) {
    const nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_MOMENTUM);
    static const uint32_t int8_head[2][3] = {{1085309560u, 1217354566u, 536835808u},
                                             {2936535983u, 611636576u, 680651697u}};
    size_t size = 0;
    begin(&config);
    CHECK_EQUAL(INT16_SIZE, arena.used);
    train(0, 300);
    const uint8_t *const state = nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    CHECK_EQUAL(nano_train_state_size(&head, NANO_TRAIN_SAVE_ALL), size);
    CHECK_EQUAL(78540673u, digest(state, size));
    check_knowledge(97);
    for (int l = 0; l < 2; l++) {
        const nano_train_place *const p = &head.layer[l];
        const uint32_t weights = (uint32_t)p->inputs * p->outputs;
        CHECK_EQUAL(int8_head[l][0], digest((const uint8_t *)p->int8_weights, weights));
        CHECK_EQUAL(int8_head[l][1], digest((const uint8_t *)p->int8_bias, 4u * p->outputs));
        CHECK_EQUAL(int8_head[l][2], digest((const uint8_t *)p->multiplier, 4u * p->outputs));
    }
}

static nano_status try_config(const nano_train_config *config) {
    nano_arena_init(&arena, bytes, sizeof bytes);
    const nano_status status = nano_train_init(&head, config, &arena);
    return arena.used == 0 || status == NANO_OK ? status : NANO_OK;
}

/* Class 0 is normal, in five recordings: what the scores of 40 samples, the threshold and the saved
 * bytes are, on every target and with every compiler. */
static void check_scores(nano_train_anomaly kind, uint32_t expected) {
    nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_SGD);
    nano_train_opinion opinion;
    uint32_t scores[41] = {0}, alarms = 0;
    int8_t x[FEATURES];
    size_t size;
    config.anomaly = kind;
    begin(&config);
    (void)sample(0, x);
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_score(&head, x, &opinion));
    for (uint32_t n = 0; n < 50 * CLASSES; n += CLASSES) {
        (void)sample(n, x);
        CHECK_EQUAL(NANO_OK, nano_train_learn(&head, x, 0, (uint16_t)(n / CLASSES / 10)));
    }
    CHECK_EQUAL(kind == NANO_TRAIN_NEAREST ? NANO_OK : NANO_ERR_STATE,
                nano_train_calibrate(&head, &scores[40]));
    for (uint32_t n = 0; n < 40; n++) {
        (void)sample(1000 + n, x);
        CHECK_EQUAL(NANO_OK, nano_train_score(&head, x, &opinion));
        scores[n] = opinion.score;
        alarms += opinion.alarm;
    }
    CHECK_EQUAL(kind == NANO_TRAIN_NEAREST ? 38 : 0, alarms);
    (void)nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    for (size_t i = 0; i < size; i++)
        saved[i] = ((const uint8_t *)head.record)[i];
    CHECK_EQUAL(NANO_OK, nano_train_restore(&head, saved, size));
    CHECK_EQUAL(NANO_OK, nano_train_score(&head, x, &opinion));
    CHECK_EQUAL(scores[39], opinion.score);
    CHECK_EQUAL(expected, digest((const uint8_t *)scores, sizeof scores) ^ digest(saved, size));
}

static void test_scores_are_the_same_everywhere(void) {
    check_scores(NANO_TRAIN_NEAREST, 3652699516u);
    check_scores(NANO_TRAIN_GAUSSIAN, 3176706591u);
}

/* Extreme features and sums, and alarms that are out of range. */
static void test_anomalies_at_their_limits(void) {
    nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_SGD);
    nano_train_opinion opinion;
    int8_t low[FEATURES], high[FEATURES];
    for (int i = 0; i < FEATURES; i++) {
        low[i] = -128;
        high[i] = 127;
    }
    begin(&config);
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_learn(&head, low, 0, 0));
    config.anomaly = NANO_TRAIN_GAUSSIAN;
    config.replay_slots = 0;
    begin(&config);
    CHECK_EQUAL(NANO_OK, nano_train_learn(&head, low, 0, 0));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_score(&head, low, &opinion));
    for (uint32_t n = 1; n < NANO_TRAIN_MAX_LEARNED; n++)
        (void)nano_train_learn(&head, low, 0, 0);
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_learn(&head, low, 0, 0));
    CHECK_EQUAL(NANO_OK, nano_train_score(&head, low, &opinion));
    CHECK_EQUAL(0, opinion.score);
    CHECK_EQUAL(NANO_OK, nano_train_score(&head, high, &opinion));
    CHECK_EQUAL(FEATURES * 131071, opinion.score);
    nano_train_alarm alarm = config.alarm;
    alarm.needed = 4;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_set_alarm(&head, &alarm));
    config.alarm.quantile = 1001;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(&config));
    config.alarm.quantile = 1000;
    config.anomaly = NANO_TRAIN_NEAREST;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(&config)); /* without slots */
    config.replay_slots = SLOTS;
    config.alarm.margin = UINT16_MAX;
    begin(&config);
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_calibrate(&head, NULL));
    CHECK_EQUAL(NANO_OK, nano_train_learn(&head, low, 0, 1));
    CHECK_EQUAL(NANO_OK, nano_train_learn(&head, low, 0, 1));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_calibrate(&head, NULL)); /* one recording */
    CHECK_EQUAL(NANO_OK, nano_train_learn(&head, high, 0, 2));
    uint32_t threshold;
    CHECK_EQUAL(NANO_OK, nano_train_calibrate(&head, &threshold));
    CHECK_EQUAL((uint64_t)FEATURES * 65025u * UINT16_MAX / 1000, threshold);
}

/* Saved bytes may lie anywhere; a head that takes them over goes on as the first one did. */
static void test_restored_from_any_address(void) {
    const nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_MOMENTUM);
    size_t size = 0;
    begin(&config);
    train(0, 40);
    const uint8_t *state = nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    for (size_t i = 0; i < size; i++)
        saved[i + 1] = state[i];
    train(40, 80);
    (void)nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    const uint32_t expected = digest(state, size);
    CHECK_EQUAL(NANO_OK, nano_train_reset(&head));
    CHECK_EQUAL(NANO_OK, nano_train_restore(&head, saved + 1, size));
    train(40, 80);
    (void)nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    CHECK_EQUAL(expected, digest(state, size));
    saved[1]++; /* the layout */
    CHECK_EQUAL(NANO_ERR_ABI, nano_train_restore(&head, saved + 1, size));
    CHECK_EQUAL(expected, digest(state, size));
}

/* What the gradients had summed goes with the head that they were of. */
static void test_a_restored_head_has_no_half_batch(void) {
    const nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_MOMENTUM);
    size_t size = 0;
    int8_t x[FEATURES];
    begin(&config);
    train(0, 40);
    const uint8_t *state = nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    for (size_t i = 0; i < size; i++)
        saved[i] = state[i];
    const uint32_t expected = digest(state, size);
    CHECK_EQUAL(NANO_OK, nano_train_sample(&head, x, sample(1, x), NULL));
    CHECK_EQUAL(1, head.pending);
    CHECK_EQUAL(NANO_OK, nano_train_restore(&head, saved, size));
    CHECK_EQUAL(0, head.pending);
    CHECK_EQUAL(NANO_OK, nano_train_flush(&head)); /* nothing to update with */
    CHECK_EQUAL(expected, digest(state, size));
}

/* A label in the replay buffer that is no class yet, though its count fits. */
static void test_a_label_beyond_the_classes_is_refused(void) {
    nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_MOMENTUM);
    size_t size = 0;
    int8_t x[FEATURES];
    config.classes = CLASSES - 1;
    begin(&config);
    for (uint32_t n = 0; n < 3; n++) {
        const uint16_t label = sample(n, x);
        CHECK_EQUAL(NANO_OK, nano_train_remember(&head, x, label));
    }
    CHECK_EQUAL(2, head.replay_labels[2]);
    for (uint16_t label = CLASSES - 1; label <= CLASSES; label++) {
        head.replay_labels[2] = label;
        head.replay_held[2] = 0;
        if (label < CLASSES)
            head.replay_held[label] = 1;
        const uint8_t *const state = nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
        for (size_t i = 0; i < size; i++)
            saved[i] = state[i];
        head.replay_held[CLASSES - 1] = 0;
        CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_restore(&head, saved, size));
    }
    head.replay_labels[2] = 2;
    head.replay_held[2] = 1;
    const uint8_t *const state = nano_train_state(&head, NANO_TRAIN_SAVE_ALL, &size);
    CHECK_EQUAL(NANO_OK, nano_train_restore(&head, state, size));
}

static void test_refused_configs(void) {
    const nano_train_config good = config_of(&nano_train_int16, NANO_TRAIN_MOMENTUM);
    nano_train_config c = good;
    CHECK_EQUAL(NANO_OK, try_config(&c));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(NULL));
    c.optimizer = NANO_TRAIN_ADAM;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(&c));
    CHECK_EQUAL(0, nano_train_arena_size(&c));
    c = good;
    c.layers = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(&c));
    c = good;
    c.layer_count = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(&c));
    c = good;
    c.backbone = NULL;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, try_config(&c));
    c = good;
    c.features = 0;
    CHECK_EQUAL(NANO_ERR_SHAPE, try_config(&c));
    c = good;
    c.feature_scale = -1.0f;
    CHECK_EQUAL(NANO_ERR_RANGE, try_config(&c));
    c = good;
    c.replay_slots = 1000;
    CHECK_EQUAL(NANO_ERR_MEMORY, try_config(&c));
}

#define REFUSED(status, place, value)                                                              \
    do {                                                                                           \
        const nano_train_config before = c;                                                        \
        const nano_train_layer layer_before = layer;                                               \
        (place) = (value);                                                                         \
        CHECK_EQUAL(status, try_config(&c));                                                       \
        c = before, layer = layer_before;                                                          \
    } while (0)

/* Every number beyond its range, and the ones at its ends. */
static void test_ranges_of_configs(void) {
    nano_train_layer layer = {CLASSES, 15, 16, NULL, NULL, 0, 0};
    nano_train_config c = config_of(&nano_train_float32, NANO_TRAIN_ADAM);
    c.layer_count = 1;
    c.layers = &layer;
    c.feature_zero_point = -128;
    c.recipe.schedule = NANO_TRAIN_STEP;
    c.recipe.weight_decay = c.recipe.clip = c.recipe.beta1 = c.recipe.beta2 = 0.0f;
    c.recipe.batch = NANO_TRAIN_MAX_BATCH;
    c.recipe.period = 1;
    CHECK_EQUAL(NANO_OK, try_config(&c));
    REFUSED(NANO_ERR_ARGUMENT, c.loss, (nano_train_loss)2);
    REFUSED(NANO_ERR_ARGUMENT, c.optimizer, (nano_train_optimizer)3);
    REFUSED(NANO_ERR_ARGUMENT, c.replay, (nano_train_replay)2);
    REFUSED(NANO_ERR_ARGUMENT, c.arithmetic, NULL);
    REFUSED(NANO_ERR_ARGUMENT, c.class_means, 2);
    REFUSED(NANO_ERR_ARGUMENT, c.layer_count, NANO_TRAIN_MAX_LAYERS + 1);
    REFUSED(NANO_ERR_ARGUMENT, c.feature_zero_point, -129);
    REFUSED(NANO_ERR_ARGUMENT, c.feature_zero_point, 128);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.rate, 0.0f);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.weight_decay, -0.5f);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.clip, -1.0f);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.beta1, 1.0f);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.beta2, 1.0f);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.epsilon, 0.0f);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.batch, NANO_TRAIN_MAX_BATCH + 1);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.schedule, (nano_train_schedule)3);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.period, 0);
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.gamma, 1.5f);
    REFUSED(NANO_ERR_ARGUMENT, layer.weight_bits, 16);
    REFUSED(NANO_ERR_ARGUMENT, layer.activation_bits, 17);
    REFUSED(NANO_ERR_ARGUMENT, layer.low, 1);
    REFUSED(NANO_ERR_ARGUMENT, layer.high, -1);
    c.feature_zero_point = 127;
    c.recipe.schedule = NANO_TRAIN_COSINE;
    REFUSED(NANO_ERR_ARGUMENT, c.recipe.period, 0);
    CHECK_EQUAL(NANO_OK, try_config(&c));
}

/* Calls without a head, or without a place for what they give. */
static void test_nothing_to_work_on(void) {
    const nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_SGD);
    int8_t x[FEATURES] = {0};
    const int8_t *y;
    uint16_t label;
    size_t size;
    begin(&config);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_init(NULL, &config, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_init(&head, &config, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_set_recipe(NULL, &config.recipe));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_set_recipe(&head, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_flush(NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_add_class(NULL, &label));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_quantize(NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_infer(NULL, x, &y));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_infer(&head, NULL, &y));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_infer(&head, x, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_remember(&head, NULL, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_remember(&head, x, CLASSES));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_recall(NULL, &y, &label));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_recall(&head, NULL, &label));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_recall(&head, &y, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_rehearse(NULL, 1, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_add_to_mean(&head, x, CLASSES));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_nearest_mean(NULL, x, &label));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_nearest_mean(&head, NULL, &label));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_nearest_mean(&head, x, NULL));
    CHECK(nano_train_state(&head, NANO_TRAIN_SAVE_ALL, NULL) == NULL);
    CHECK(nano_train_state(NULL, NANO_TRAIN_SAVE_ALL, &size) == NULL);
    CHECK_EQUAL(0, nano_train_state_size(NULL, NANO_TRAIN_SAVE_ALL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_restore(NULL, saved, sizeof saved));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_restore(&head, NULL, sizeof saved));
    nano_train_opinion opinion;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_reset(NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_learn(NULL, x, 0, 0));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_score(NULL, x, &opinion));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_score(&head, NULL, &opinion));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_score(&head, x, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_set_alarm(NULL, &config.alarm));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_set_alarm(&head, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_calibrate(NULL, NULL));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_score(&head, x, &opinion)); /* it scores nothing */
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_set_alarm(&head, &config.alarm));
}

/* Of real targets: which are refused, and that a loss is judged by them without learning. */
static void test_targets_that_cannot_be(void) {
    nano_train_config config = config_of(&nano_train_float32, NANO_TRAIN_SGD);
    const float infinity = 1e38f * 10.0f;
    float target[CLASSES] = {0.5f};
    int8_t x[FEATURES] = {1};
    nano_train_result result = {0};
    config.loss = NANO_TRAIN_MSE;
    config.replay_slots = 0;
    config.class_means = 0;
    begin(&config);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_evaluate_target(NULL, x, target, &result));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_evaluate_target(&head, NULL, target, &result));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_evaluate_target(&head, x, NULL, &result));
    CHECK_EQUAL(NANO_OK, nano_train_evaluate_target(&head, x, target, &result));
    const int32_t loss = result.loss;
    CHECK(loss > 0);
    CHECK_EQUAL(NANO_OK, nano_train_evaluate_target(&head, x, target, &result));
    CHECK_EQUAL(loss, result.loss); /* nothing has been learned */
    target[CLASSES - 1] = infinity;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_sample_target(&head, x, target, &result));
    target[CLASSES - 1] = infinity - infinity;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_evaluate_target(&head, x, target, &result));
}

/* Sizes are 32-bit numbers: a head whose own would wrap is refused, and gets no small arena. */
static void test_sizes_do_not_wrap(void) {
    static const nano_train_layer square[1] = {{NANO_TRAIN_MAX_WIDTH, 0, 0, NULL, NULL, 0, 0}};
    static const nano_train_layer waist[2] = {{4096, 0, 0, NULL, NULL, 0, 0},
                                              {NANO_TRAIN_MAX_WIDTH, 0, 0, NULL, NULL, 0, 0}};
    nano_train_config c = config_of(&nano_train_float32, NANO_TRAIN_ADAM);
    c.features = NANO_TRAIN_MAX_WIDTH;
    c.layer_count = 1;
    c.layers = square;
    CHECK_EQUAL(NANO_ERR_SHAPE, try_config(&c));
    CHECK_EQUAL(0, nano_train_arena_size(&c));
    c.layer_count = 2;
    c.layers = waist;
    c.replay_slots = UINT16_MAX;
    CHECK_EQUAL(NANO_ERR_SHAPE, try_config(&c));
}

static void test_wrong_calls(void) {
    nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_SGD);
    int8_t x[FEATURES] = {0};
    const int8_t *y;
    uint16_t label;
    size_t size;
    config.replay_slots = 0;
    config.class_means = 0;
    config.classes = CLASSES - 1;
    begin(&config);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_sample(NULL, x, 0, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_sample(&head, NULL, 0, NULL));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_sample(&head, x, CLASSES - 1, NULL));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_sample_target(&head, x, NULL, NULL));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_infer(&head, x, &y));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_remember(&head, x, 0));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_recall(&head, &y, &label));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_rehearse(&head, 1, NULL));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_add_to_mean(&head, x, 0));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_nearest_mean(&head, x, &label));
    CHECK(nano_train_state(&head, (nano_train_part)3, &size) == NULL);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_restore(&head, saved, 10));
    CHECK_EQUAL(NANO_OK, nano_train_sample(&head, x, 0, NULL));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_add_class(&head, NULL));
    CHECK_EQUAL(NANO_ERR_STATE, nano_train_set_recipe(&head, &config.recipe));
    CHECK_EQUAL(NANO_OK, nano_train_flush(&head));
    CHECK_EQUAL(NANO_OK, nano_train_add_class(&head, &label));
    CHECK_EQUAL(CLASSES - 1, label);
    CHECK_EQUAL(NANO_ERR_MEMORY, nano_train_add_class(&head, NULL));
    config.recipe.batch = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_train_set_recipe(&head, &config.recipe));
    CHECK_EQUAL(4, head.recipe.batch);
}

/* Extreme features, rates and targets: nothing overflows (the sanitizers watch). */
static void test_extremes(void) {
    for (int arithmetic = 0; arithmetic < 2; arithmetic++) {
        nano_train_config config =
            config_of(arithmetic ? &nano_train_float32 : &nano_train_int16, NANO_TRAIN_MOMENTUM);
        const float targets[CLASSES] = {3e38f, -3e38f, 1e-40f, 20000.0f};
        int8_t x[FEATURES];
        config.feature_scale = 1000.0f;
        config.recipe.rate = 1000.0f;
        config.recipe.weight_decay = 10.0f;
        config.recipe.momentum = 0.999f;
        config.recipe.clip = arithmetic ? 1.0f : 1e30f;
        config.loss = NANO_TRAIN_MSE;
        begin(&config);
        for (int n = 0; n < 60; n++) {
            for (int i = 0; i < FEATURES; i++)
                x[i] = n % 3 == 0 ? -128 : 127;
            nano_train_result result;
            CHECK_EQUAL(NANO_OK, n % 2 ? nano_train_sample(&head, x, 1, &result)
                                       : nano_train_sample_target(&head, x, targets, &result));
            CHECK(result.loss >= 0);
            const nano_status status = nano_train_quantize(&head);
            CHECK(status == NANO_OK || status == NANO_ERR_RANGE);
        }
    }
}

/* A label whose output is almost 2048 below many others: the loss saturates. */
static void test_loss_saturates(void) {
    static const nano_train_layer one[1] = {{FAR_CLASSES, 0, 0, NULL, far_bias, 0, 0}};
    nano_train_config config = config_of(&nano_train_int16, NANO_TRAIN_SGD);
    const int8_t x[FEATURES] = {0};
    nano_train_result result;
    config.layer_count = 1;
    config.layers = one;
    config.classes = FAR_CLASSES;
    config.replay_slots = 0;
    config.class_means = 0;
    begin(&config);
    for (int32_t i = 0; i < FAR_CLASSES * FEATURES; i++)
        ((int16_t *)head.layer[0].weights)[i] = 0;
    CHECK_EQUAL(NANO_OK, nano_train_evaluate(&head, x, 0, &result));
    CHECK_EQUAL(INT32_MAX, result.loss);
}

int main(void) {
    check_begin();
    RUN(test_float32_learns);
    RUN(test_int16_learns_the_same_everywhere);
    RUN(test_scores_are_the_same_everywhere);
    RUN(test_anomalies_at_their_limits);
    RUN(test_restored_from_any_address);
    RUN(test_a_restored_head_has_no_half_batch);
    RUN(test_a_label_beyond_the_classes_is_refused);
    RUN(test_refused_configs);
    RUN(test_ranges_of_configs);
    RUN(test_nothing_to_work_on);
    RUN(test_targets_that_cannot_be);
    RUN(test_sizes_do_not_wrap);
    RUN(test_wrong_calls);
    RUN(test_extremes);
    RUN(test_loss_saturates);
    return check_end();
}
