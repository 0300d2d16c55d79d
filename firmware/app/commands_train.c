/* commands_train.c - learning over the line: `train WORD …` (docs/console.md). The input in `db` is
 * the sample; its label comes with the command. */
#include "commands.h"

#include "app_model.h"

#ifdef APP_TRAIN

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "crc32.h"
#include "format.h"
#include "frame.h"
#include "head.h"
#include "inference.h"
#include "parse.h"

#define MOST_RECALLED 10000u /* samples of one `train step` */

/* What `train eval` has been asked since `train begin`. */
static struct { uint32_t correct, total; } evaluated;

#ifdef APP_TRAIN_TARGETS
/* What the outputs shall be, as `train target` told. */
static float targets[APP_TRAIN_TARGETS];
#endif

/* Ticks of the newest `train sample`'s learning: without an update of the weights, and with one. */
static struct { uint32_t gradient, update; } ticks;

static const char *const part_names[] = {"head", "optimizer",
                                         "all"}; /* as nano_train_part counts */
static const char *const origin_names[] = {"initial", "stored", "trained",
                                           "void"}; /* head_origin */
static const char *const anomaly_names[] = {"none", "nearest",
                                            "gaussian"}; /* as nano_train_anomaly counts */

/* `TAG-[first second …]` */
static void put_numbers(const char *tag, const uint32_t *numbers, unsigned count) {
    put_open(tag);
    for (unsigned i = 0; i < count; i++) {
        put_text(i > 0 ? " " : "");
        put_unsigned(numbers[i]);
    }
    put_close();
}

/* `e-[Not done: why]`, unless all went well. */
static bool done(nano_status status) {
    if (status == NANO_OK)
        return true;
    put_open("e");
    put_text("Not done: ");
    put_text(nano_status_text(status));
    put_close();
    return false;
}

/* Is the head whole? Else says so. */
static bool whole(void) {
    if (head_get_origin() != HEAD_VOID)
        return true;
    put_error("No head: train put, train load or train reset");
    return false;
}

static bool parse_part(const char *word, nano_train_part *part) {
    for (int i = NANO_TRAIN_SAVE_HEAD; i <= NANO_TRAIN_SAVE_ALL; i++) {
        if (same_text(word, part_names[i])) {
            *part = (nano_train_part)i;
            return true;
        }
    }
    return false;
}

/* `TAG-[PART BYTES CRC]` of what that part holds now. */
static void put_part(const char *tag, nano_train_part part) {
    size_t size;
    const uint8_t *const bytes = nano_train_state(head_net(), part, &size);
    put_open(tag);
    put_text(part_names[part]);
    put_text(" ");
    put_unsigned((uint32_t)size);
    put_text(" ");
    put_hex(crc32_update(0, bytes, size), 8);
    put_close();
}

/* Reads a label, and runs the model on the input. False: answered, or `usage` is to be shown. */
static bool get_sample(const char *word, uint32_t *label, const int8_t **features, bool *usage) {
    *usage = parse_unsigned(word, UINT16_MAX, label);
    if (!*usage || !whole() || !ready_to_run())
        return false;
    if (*label >= head_net()->record->classes) {
        put_open("e");
        put_text("The head has classes 0 to ");
        put_unsigned(head_net()->record->classes - 1u);
        put_close();
        return false;
    }
    *features = inference_features();
    return true;
}

/* Does the head score? Else says so. */
static bool scores(void) {
    if (!whole())
        return false;
    if (head_net()->config->anomaly != NANO_TRAIN_NO_ANOMALY)
        return true;
    put_error("The head has no scores: export it with anomaly=nearest or gaussian");
    return false;
}

/* `m-train-threshold-[THRESHOLD QUANTILE MARGIN NEEDED WINDOW]` */
static void put_alarm(void) {
    const nano_train_alarm *const alarm = &head_net()->record->alarm;
    const uint32_t told[] = {alarm->threshold, alarm->quantile, alarm->margin, alarm->needed,
                             alarm->window};
    put_numbers("m-train-threshold", told, 5);
}

static bool train_status(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    const nano_train *const net = head_net();
    const nano_train_record *const record = net->record;
    const nano_train_config *const config = net->config;
    const uint32_t most = config->layers[config->layer_count - 1].outputs;
    const uint32_t classes[] = {record->classes, most};
    const uint32_t steps[] = {record->steps, record->samples};
    const uint32_t batch[] = {net->pending, net->recipe.batch};
    const uint32_t replay[] = {record->replay_used, config->replay_slots, record->replay_seen};
    const uint32_t eval[] = {evaluated.correct, evaluated.total};
    uint32_t put[2];
    head_get_put(&put[0], &put[1]);
    put_open("m-train-config");
    put_hex(nano_train_hash(config), 8);
    put_close();
    put_open("m-train-origin");
    put_text(origin_names[head_get_origin()]);
    put_close();
    put_numbers("m-train-classes", classes, 2);
    put_numbers("m-train-steps", steps, 2);
    put_numbers("m-train-batch", batch, 2);
    put_numbers("m-train-replay", replay, 3);
    put_numbers("m-train-eval", eval, 2);
    put_numbers("m-train-put", put, 2);
    if (config->anomaly != NANO_TRAIN_NO_ANOMALY) {
        put_open("m-train-anomaly");
        put_text(anomaly_names[config->anomaly]);
        put_text(" ");
        put_unsigned(record->learned);
        put_close();
        put_alarm();
    }
    if (head_get_origin() != HEAD_VOID) {
        for (int part = NANO_TRAIN_SAVE_HEAD; part <= NANO_TRAIN_SAVE_ALL; part++)
            put_part("m-train-part", (nano_train_part)part);
    }
    return true;
}

static bool train_begin(unsigned count, char *const words[]) {
    nano_train_recipe recipe = head_net()->recipe;
    uint32_t batch = recipe.batch;
    if (count > 2 && !parse_decimal(words[2], &recipe.rate))
        return false;
    if (count > 3 && !parse_unsigned(words[3], UINT16_MAX, &batch))
        return false;
    recipe.batch = (uint16_t)batch;
    if (!whole() || !done(nano_train_set_recipe(head_net(), &recipe)))
        return true;
    evaluated.correct = evaluated.total = 0;
    const nano_train_alarm alarm = head_net()->record->alarm;
    (void)nano_train_set_alarm(head_net(), &alarm); /* votes begin anew, where there are any */
    put_numbers("m-train-begin", &batch, 1);
    return true;
}

/* The recipe's number of that name; NULL: there is none. */
static float *recipe_number(nano_train_recipe *recipe, const char *name) {
    if (same_text(name, "rate"))
        return &recipe->rate;
    if (same_text(name, "momentum"))
        return &recipe->momentum;
    if (same_text(name, "decay"))
        return &recipe->weight_decay;
    return same_text(name, "clip") ? &recipe->clip : NULL;
}

static bool train_set(unsigned count, char *const words[]) {
    (void)count;
    nano_train_recipe recipe = head_net()->recipe;
    float *const number = recipe_number(&recipe, words[2]);
    if (number == NULL || !parse_decimal(words[3], number))
        return false;
    if (whole() && done(nano_train_set_recipe(head_net(), &recipe))) {
        uint32_t bits;
        memcpy(&bits, number, sizeof bits);
        put_open("m-train-set");
        put_text(words[2]);
        put_text(" ");
        put_hex(bits, 8);
        put_close();
    }
    return true;
}

/* What is normal, replay buffer, class means, where there are any: first what is full soonest, a
 * Gaussian, before anything has changed. */
static nano_status keep(const int8_t *features, uint16_t label, uint16_t recording) {
    const nano_train_config *const config = head_net()->config;
    nano_status status = NANO_OK;
    if (config->anomaly != NANO_TRAIN_NO_ANOMALY)
        status = nano_train_learn(head_net(), features, label, recording);
    else if (config->replay_slots > 0)
        status = nano_train_remember(head_net(), features, label);
    if (status == NANO_OK && config->class_means)
        status = nano_train_add_to_mean(head_net(), features, label);
    return status;
}

static bool train_sample(unsigned count, char *const words[]) {
    (void)count;
    uint32_t label;
    const int8_t *features;
    bool understood;
    nano_train_result result;
    if (!get_sample(words[2], &label, &features, &understood))
        return understood;
    if (!done(keep(features, (uint16_t)label, 0)))
        return true;
    const uint32_t begin = board_ticks();
    const nano_status status = nano_train_sample(head_net(), features, (uint16_t)label, &result);
    const uint32_t took = board_ticks() - begin;
    if (!done(status))
        return true;
    *(result.stepped ? &ticks.update : &ticks.gradient) = took;
    head_changed();
    const uint32_t told[] = {label, result.predicted, (uint32_t)result.loss, result.stepped,
                             head_net()->record->samples};
    put_numbers("m-train-sample", told, 5);
    return true;
}

static bool train_remember(unsigned count, char *const words[]) {
    (void)count;
    uint32_t label;
    const int8_t *features;
    bool understood;
    if (!get_sample(words[2], &label, &features, &understood))
        return understood;
    if (done(keep(features, (uint16_t)label, 0))) {
        const nano_train_record *const record = head_net()->record;
        const uint32_t told[] = {label, record->replay_used, record->replay_seen};
        head_changed();
        put_numbers("m-train-remember", told, 3);
    }
    return true;
}

static bool train_learn(unsigned count, char *const words[]) {
    uint32_t recording, label;
    const int8_t *features;
    bool understood = parse_unsigned(words[2], UINT16_MAX, &recording);
    if (!understood || !scores() ||
        !get_sample(count > 3 ? words[3] : "0", &label, &features, &understood))
        return understood;
    if (done(keep(features, (uint16_t)label, (uint16_t)recording))) {
        const nano_train_record *const record = head_net()->record;
        const uint32_t told[] = {recording, record->learned, record->replay_used};
        head_changed();
        put_numbers("m-train-learn", told, 3);
    }
    return true;
}

static bool train_score(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    nano_train_opinion opinion;
    if (!scores() || !ready_to_run())
        return true;
    const int8_t *const features = inference_features();
    const uint32_t begin = board_ticks();
    const nano_status status = nano_train_score(head_net(), features, &opinion);
    const uint32_t took = board_ticks() - begin;
    if (status != NANO_OK) {
        put_error("Nothing to score by: train learn first (a Gaussian: two samples)");
    } else {
        const uint32_t told[] = {opinion.score, opinion.anomalous, opinion.alarm, took};
        put_numbers("m-train-score", told, 4);
    }
    return true;
}

static bool set_alarm(const nano_train_alarm *alarm) {
    if (done(nano_train_set_alarm(head_net(), alarm))) {
        head_changed();
        put_alarm();
    }
    return true;
}

static bool train_threshold(unsigned count, char *const words[]) {
    nano_train_alarm alarm = head_net()->record->alarm;
    const bool calibrates = count > 2 && same_text(words[2], "auto");
    if (count > 2 && same_text(words[2], "none"))
        alarm.threshold = NANO_TRAIN_NO_THRESHOLD;
    else if (count > 2 && !calibrates && !parse_unsigned(words[2], UINT32_MAX, &alarm.threshold))
        return false;
    if (!scores())
        return true;
    if (count > 2 && !calibrates)
        return set_alarm(&alarm);
    if (calibrates && nano_train_calibrate(head_net(), NULL) != NANO_OK) {
        put_error(head_net()->config->anomaly == NANO_TRAIN_GAUSSIAN
                      ? "A Gaussian keeps no recordings apart: set the threshold itself"
                      : "The replay buffer holds fewer than two recordings: train learn RECORDING");
        return true;
    }
    if (calibrates)
        head_changed();
    put_alarm();
    return true;
}

/* Two numbers of the alarm: `train votes`, `train quantile`. */
static bool get_two(char *const words[], uint32_t most, uint32_t *first, uint32_t *second) {
    return parse_unsigned(words[2], most, first) && parse_unsigned(words[3], most, second);
}

static bool train_votes(unsigned count, char *const words[]) {
    (void)count;
    nano_train_alarm alarm = head_net()->record->alarm;
    uint32_t needed, window;
    if (!get_two(words, UINT8_MAX, &needed, &window))
        return false;
    alarm.needed = (uint8_t)needed;
    alarm.window = (uint8_t)window;
    return !scores() || set_alarm(&alarm);
}

static bool train_quantile(unsigned count, char *const words[]) {
    (void)count;
    nano_train_alarm alarm = head_net()->record->alarm;
    uint32_t quantile, margin;
    if (!get_two(words, UINT16_MAX, &quantile, &margin))
        return false;
    alarm.quantile = (uint16_t)quantile;
    alarm.margin = (uint16_t)margin;
    return !scores() || set_alarm(&alarm);
}

/* Learn `count` samples of the replay buffer; the mean of their losses before, cut off. It grows by
 * each one's share: not every core has a division of 64 bits. */
static nano_status rehearse(uint32_t count, uint32_t *loss) {
    uint32_t mean = 0, rest = 0;
    nano_status status = NANO_OK;
    for (uint32_t i = 0; i < count && status == NANO_OK; i++) {
        nano_train_result result = {0};
        status = nano_train_rehearse(head_net(), 1, &result);
        mean += (uint32_t)result.loss / count;
        rest += (uint32_t)result.loss % count;
        mean += rest / count;
        rest %= count;
    }
    *loss = mean;
    return status;
}

static bool train_step(unsigned count, char *const words[]) {
    uint32_t recalled = 0, loss;
    if (count > 2 && !parse_unsigned(words[2], MOST_RECALLED, &recalled))
        return false;
    if (!whole())
        return true;
    const bool learns = recalled > 0 || head_net()->pending > 0;
    if (!done(rehearse(recalled, &loss)))
        return true;
    if (done(nano_train_flush(head_net()))) {
        const uint32_t told[] = {head_net()->record->steps, head_net()->record->samples, loss};
        put_numbers("m-train-step", told, 3);
    }
    if (learns)
        head_changed();
    return true;
}

/* `m-train-eval-[LABEL PREDICTED NEAREST LOSS]`; NEAREST is `-` without class means. */
static void put_evaluation(uint32_t label, const nano_train_result *result, bool means,
                           uint16_t nearest) {
    put_open("m-train-eval");
    put_unsigned(label);
    put_text(" ");
    put_unsigned(result->predicted);
    put_text(" ");
    if (means)
        put_unsigned(nearest);
    else
        put_text("-");
    put_text(" ");
    put_unsigned((uint32_t)result->loss);
    put_close();
}

static bool train_eval(unsigned count, char *const words[]) {
    uint32_t label;
    const int8_t *features;
    bool understood;
    nano_train_result result;
    if (count == 2) {
        const uint32_t told[] = {evaluated.correct, evaluated.total};
        put_numbers("m-train-evals", told, 2);
        return true;
    }
    if (!get_sample(words[2], &label, &features, &understood))
        return understood;
    if (!done(nano_train_evaluate(head_net(), features, (uint16_t)label, &result)))
        return true;
    uint16_t nearest = 0;
    const bool means = head_net()->config->class_means &&
                       nano_train_nearest_mean(head_net(), features, &nearest) == NANO_OK;
    evaluated.total++;
    evaluated.correct += result.predicted == label;
    put_evaluation(label, &result, means, nearest);
    return true;
}

#ifdef APP_TRAIN_TARGETS
/* Eight hex digits: the bits of a float32. */
static bool parse_real(const char *word, float *value) {
    uint32_t bits = 0;
    unsigned count = 0;
    for (; word[count] != '\0'; count++) {
        const int digit = parse_hex_digit(word[count]);
        if (digit < 0 || count == 8)
            return false;
        bits = bits << 4 | (uint32_t)digit;
    }
    if (count != 8 || (bits & 0x7F800000u) == 0x7F800000u)
        return false;
    memcpy(value, &bits, sizeof bits);
    return true;
}

static bool train_target(unsigned count, char *const words[]) {
    (void)count;
    uint32_t output;
    float value;
    if (!parse_unsigned(words[2], APP_TRAIN_TARGETS - 1u, &output) || !parse_real(words[3], &value))
        return false;
    targets[output] = value;
    put_numbers("m-train-target", &output, 1);
    return true;
}

static bool train_fit(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    nano_train_result result;
    if (!whole() || !ready_to_run())
        return true;
    const int8_t *const features = inference_features();
    const uint32_t begin = board_ticks();
    const nano_status status = nano_train_sample_target(head_net(), features, targets, &result);
    const uint32_t took = board_ticks() - begin;
    if (!done(status))
        return true;
    *(result.stepped ? &ticks.update : &ticks.gradient) = took;
    head_changed();
    const uint32_t told[] = {(uint32_t)result.loss, result.stepped, head_net()->record->samples};
    put_numbers("m-train-fit", told, 3);
    return true;
}

static bool train_loss(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    nano_train_result result;
    if (!whole() || !ready_to_run())
        return true;
    if (done(nano_train_evaluate_target(head_net(), inference_features(), targets, &result))) {
        const uint32_t loss = (uint32_t)result.loss;
        put_numbers("m-train-loss", &loss, 1);
    }
    return true;
}
#endif

static bool train_ticks(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    const uint32_t told[] = {ticks.gradient, ticks.update};
    put_numbers("m-train-ticks", told, 2);
    return true;
}

static bool train_class(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    uint16_t label;
    if (!whole() || !done(nano_train_add_class(head_net(), &label)))
        return true;
    head_changed();
    const uint32_t told[] = {label, head_net()->record->classes};
    put_numbers("m-train-class", told, 2);
    return true;
}

static void refuse_store(store_status status) {
    put_open("e");
    put_text("Store: ");
    put_text(store_status_text(status));
    put_close();
}

static bool train_save(unsigned count, char *const words[]) {
    nano_train_part part = NANO_TRAIN_SAVE_HEAD;
    if (count > 2 && !parse_part(words[2], &part))
        return false;
    if (!whole())
        return true;
    const store_status status = head_save(part);
    if (status == STORE_OK)
        put_part("m-train-save", part);
    else
        refuse_store(status);
    return true;
}

static bool train_load(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    const store_status status = head_load();
    if (status == STORE_OK)
        put_part("m-train-load", NANO_TRAIN_SAVE_HEAD);
    else
        refuse_store(status);
    return true;
}

static bool train_reset(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    evaluated.correct = evaluated.total = 0;
    head_reset();
    put_part("m-train-reset", NANO_TRAIN_SAVE_HEAD);
    return true;
}

static bool train_fetch(unsigned count, char *const words[]) {
    nano_train_part part = NANO_TRAIN_SAVE_HEAD;
    if (count > 2 && !parse_part(words[2], &part))
        return false;
    if (!whole())
        return true;
    size_t size;
    const uint8_t *const bytes = nano_train_state(head_net(), part, &size);
    frame_send_all('T', bytes, (uint32_t)size);
    put_part("m-train-fetch", part);
    return true;
}

static bool train_put(unsigned count, char *const words[]) {
    (void)count;
    uint32_t size;
    if (!parse_unsigned(words[2], UINT32_MAX, &size))
        return false;
    if (head_begin_put(size))
        put_numbers("m-train-put", &size, 1);
    else
        put_error("No part of the head has this size: train status");
    return true;
}

void train_take_frame(const frame_view *frame) {
    uint32_t next, size;
    head_get_put(&next, &size);
    if (frame->offset == 0)
        next = 0;
    if (size == 0) {
        put_error("Frame of a head that nobody awaits: begin with train put");
    } else if (frame->offset != next || frame->size > size - next) {
        put_frame_misplaced(next, size);
    } else {
        if (next == 0)
            head_restart_put();
        const nano_status status = head_put(frame->data, frame->size);
        put_frame_taken(next, frame->size);
        if (status != NANO_MORE && done(status))
            put_text("m-load-done\r\n");
    }
}

static const struct {
    const char *name;
    command_handler run;
    unsigned least, most; /* words, `train` and the name included */
    const char *usage;
} parts[] = {
    {"status", train_status, 2, 2, ""},
    {"begin", train_begin, 2, 4, " [RATE [BATCH]]"},
    {"set", train_set, 4, 4, " rate|momentum|decay|clip VALUE"},
    {"sample", train_sample, 3, 3, " LABEL"},
    {"remember", train_remember, 3, 3, " LABEL"},
    {"learn", train_learn, 3, 4, " RECORDING [LABEL]"},
    {"score", train_score, 2, 2, ""},
    {"threshold", train_threshold, 2, 3, " [SCORE|auto|none]"},
    {"votes", train_votes, 4, 4, " NEEDED WINDOW"},
    {"quantile", train_quantile, 4, 4, " QUANTILE MARGIN"},
    {"step", train_step, 2, 3, " [N]"},
    {"eval", train_eval, 2, 3, " [LABEL]"},
#ifdef APP_TRAIN_TARGETS
    {"target", train_target, 4, 4, " OUTPUT BITS"},
    {"fit", train_fit, 2, 2, ""},
    {"loss", train_loss, 2, 2, ""},
#endif
    {"ticks", train_ticks, 2, 2, ""},
    {"class", train_class, 2, 2, ""},
    {"save", train_save, 2, 3, " [head|optimizer|all]"},
    {"load", train_load, 2, 2, ""},
    {"reset", train_reset, 2, 2, ""},
    {"fetch", train_fetch, 2, 3, " [head|optimizer|all]"},
    {"put", train_put, 3, 3, " SIZE"},
};

static bool train_help(void) {
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        put_text("train ");
        put_text(parts[i].name);
        put_text(parts[i].usage);
        put_line_end();
    }
    return true;
}

static void put_usage(unsigned part) {
    put_open("e");
    put_text("Usage: train ");
    put_text(parts[part].name);
    put_text(parts[part].usage);
    put_close();
}

bool command_train(unsigned count, char *const words[]) {
    if (count < 2)
        return false;
    if (inference_status() != NANO_OK) {
        (void)done(inference_status());
        return true;
    }
    if (count == 2 && same_text(words[1], "help"))
        return train_help();
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!same_text(words[1], parts[i].name))
            continue;
        if (count < parts[i].least || count > parts[i].most || !parts[i].run(count, words))
            put_usage(i);
        return true;
    }
    return false;
}

#endif
