/* training.c - what training costs on a board: ticks of each call, bytes of arena, for heads on a
 * backbone of 64 features. bench/training.py compiles it, runs it in an emulator, reads the lines:
 *
 *     name sample step quantize infer nearest arena
 *     name learn score calibrate arena                   of a head with scores */
#include "../tests/c/check/check.h"

#include "nano/train.h"

#define FEATURES 64
#define CLASSES 10
#define BATCH 8

NANO_ALIGNED static uint8_t bytes[96 * 1024];
static nano_train head;

static const nano_train_layer one[1] = {{CLASSES, 12, 0, NULL, NULL, 0, 0}};
static const nano_train_layer two[2] = {{32, 12, 8, NULL, NULL, 0, 0},
                                        {CLASSES, 12, 0, NULL, NULL, 0, 0}};

static void fill(int8_t features[FEATURES], uint32_t *random) {
    for (int i = 0; i < FEATURES; i++)
        features[i] = (int8_t)check_between(random, -128, 127);
}

static void print_ticks(uint32_t ticks) {
    check_putc(' ');
    check_number((int32_t)ticks);
}

/* One line. The step is measured by a flush of a mini-batch that lacks its last sample. */
static void measure(const char *name, const nano_train_config *config) {
    int8_t x[FEATURES];
    const int8_t *y;
    uint16_t label;
    uint32_t random = 1, ticks[6];
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    if (nano_train_init(&head, config, &arena) != NANO_OK)
        return;
    for (uint16_t n = 0; n < 4 * BATCH - 1; n++) {
        fill(x, &random);
        (void)nano_train_add_to_mean(&head, x, n % CLASSES);
        ticks[0] = board_ticks();
        (void)nano_train_sample(&head, x, n % CLASSES, NULL);
        ticks[1] = board_ticks();
    }
    (void)nano_train_flush(&head);
    ticks[2] = board_ticks();
    (void)nano_train_quantize(&head);
    ticks[3] = board_ticks();
    (void)nano_train_infer(&head, x, &y);
    ticks[4] = board_ticks();
    (void)nano_train_nearest_mean(&head, x, &label);
    ticks[5] = board_ticks();
    check_text(name);
    for (int i = 0; i < 5; i++)
        print_ticks(ticks[i + 1] - ticks[i]);
    print_ticks((uint32_t)arena.used);
    check_putc('\n');
}

static void measure_both(const char *narrow, const char *wide,
                         const nano_train_arithmetic *arithmetic, nano_train_optimizer optimizer) {
    nano_train_config config = {
        "bench",
        FEATURES,
        -128,
        0.02f,
        arithmetic,
        NANO_TRAIN_CROSS_ENTROPY,
        optimizer,
        NANO_TRAIN_BALANCED,
        100,
        1,
        1,
        CLASSES,
        one,
        7,
        {0.02f, 0.9f, 0.0f, 0.9f, 0.999f, 1e-8f, 0.0f, NANO_TRAIN_CONSTANT, 0, 1, 1.0f, BATCH},
        NANO_TRAIN_NO_ANOMALY,
        {0, 0, 0, 0, 0, 0}};
    measure(narrow, &config);
    config.layers = two;
    config.layer_count = 2;
    measure(wide, &config);
}

#define WATCHED 48
#define SLOTS 100

/* One line of a head that scores 48 features: a score right after a sample was learned, and the
 * threshold of ten recordings (a Gaussian has none). */
static void measure_scores(const char *name, nano_train_anomaly anomaly) {
    const nano_train_config config = {
        .backbone = "bench",
        .features = WATCHED,
        .feature_scale = 0.02f,
        .arithmetic = &nano_train_int16,
        .replay_slots = anomaly == NANO_TRAIN_NEAREST ? SLOTS : 0,
        .layer_count = 1,
        .classes = CLASSES,
        .layers = one,
        .recipe = {.rate = 0.02f, .batch = BATCH},
        .anomaly = anomaly,
        .alarm = {.quantile = 990, .margin = 1500, .needed = 3, .window = 5}};
    int8_t x[FEATURES];
    uint32_t random = 1, ticks[4];
    nano_arena arena;
    nano_train_opinion opinion;
    nano_arena_init(&arena, bytes, sizeof bytes);
    if (nano_train_init(&head, &config, &arena) != NANO_OK)
        return;
    for (uint16_t n = 0; n < SLOTS; n++) {
        fill(x, &random);
        ticks[0] = board_ticks();
        (void)nano_train_learn(&head, x, 0, n / 10);
        ticks[1] = board_ticks();
    }
    fill(x, &random);
    ticks[1] -= ticks[0];
    ticks[0] = board_ticks();
    (void)nano_train_score(&head, x, &opinion);
    ticks[2] = board_ticks();
    (void)nano_train_calibrate(&head, NULL);
    ticks[3] = board_ticks();
    check_text(name);
    print_ticks(ticks[1]);
    print_ticks(ticks[2] - ticks[0]);
    print_ticks(ticks[3] - ticks[2]);
    print_ticks((uint32_t)arena.used);
    check_putc('\n');
}

int main(void) {
    check_begin();
    measure_both("int16-momentum-64-10", "int16-momentum-64-32-10", &nano_train_int16,
                 NANO_TRAIN_MOMENTUM);
    measure_both("float32-momentum-64-10", "float32-momentum-64-32-10", &nano_train_float32,
                 NANO_TRAIN_MOMENTUM);
    measure_both("float32-adam-64-10", "float32-adam-64-32-10", &nano_train_float32,
                 NANO_TRAIN_ADAM);
    measure_scores("nearest-48-100-slots", NANO_TRAIN_NEAREST);
    measure_scores("gaussian-48", NANO_TRAIN_GAUSSIAN);
    check_text("end\n");
    board_flush();
    return 0;
}
