/* Learning over the line: every reply, every refusal, power cuts in the middle of a save, a head
 * that comes in pieces. */
#include "../check/check.h"

#include <stdbool.h>
#include <string.h>

#include "app.h"

#include "baud.h"
#include "console.h"
#include "crc32.h"
#include "fake_board.h"
#include "fake_head.h"
#include "frame.h"
#include "head.h"
#include "inference.h"

#define STATE_MAX 2048u

static void halve(const void *params, const nano_io *io) {
    (void)params;
    for (unsigned i = 0; i < HALVES_SIZE; i++)
        ((int8_t *)io->out)[i] = (int8_t)(((const int8_t *)io->in[0])[i] / 2);
}

static const nano_op ops[] = {
    {.run = halve, .in = {0, NANO_NONE}, .out = 8, .scratch = NANO_NONE, .out_size = HALVES_SIZE},
};

static char hash[] = "0123456789abcdef";

static const nano_tensor input = {0,         HALVES_SIZE, {HALVES_SIZE, 0, 0, 0}, 0.03125f, 0,
                                  NANO_INT8, "in"};
static const nano_tensor output = {8,         HALVES_SIZE, {HALVES_SIZE, 0, 0, 0}, 0.0625f, 0,
                                   NANO_INT8, "out"};

const nano_model halves_model = {
    .abi = NANO_ABI,
    .name = "halves",
    .hash = hash,
    .ops = ops,
    .op_count = 1,
    .arena_size = 16,
    .inputs = &input,
    .outputs = &output,
    .input_count = 1,
    .output_count = 1,
};

const nano_train_config halves_train = FAKE_HEAD(HALVES_SIZE);

static void say(const char *text) {
    fake_clear();
    for (; *text != '\0'; text++)
        console_feed((uint8_t)*text);
}

static bool answers(const char *command, const char *expected) {
    size_t i = 0;
    say(command);
    while (expected[i] != '\0' && fake_sent[i] == (uint8_t)expected[i])
        i++;
    return expected[i] == '\0' && i == fake_sent_size;
}

/* Does the answer begin like this, and end with m-ready? */
static bool begins(const char *command, const char *expected) {
    static const char end[] = "\r\nm-ready\r\n";
    const size_t length = sizeof end - 1;
    size_t i = 0;
    say(command);
    while (expected[i] != '\0' && fake_sent[i] == (uint8_t)expected[i])
        i++;
    return expected[i] == '\0' && fake_sent_size > length &&
           memcmp(&fake_sent[fake_sent_size - length], end, length) == 0;
}

/* Is this anywhere in what was sent? */
static bool says(const char *text) {
    const size_t length = strlen(text);
    for (size_t i = 0; i + length <= fake_sent_size; i++)
        if (memcmp(&fake_sent[i], text, length) == 0)
            return true;
    return false;
}

/* Does what was sent end like this? */
static bool ends(const char *expected) {
    size_t length = 0;
    while (expected[length] != '\0')
        length++;
    return fake_sent_size >= length &&
           memcmp(&fake_sent[fake_sent_size - length], expected, length) == 0;
}

static void send_frame(uint8_t type, uint32_t offset, const void *data, uint16_t size) {
    uint8_t wire[FRAME_MAX + 4u];
    fake_clear();
    frame_send(type, offset, data, size);
    const size_t length = fake_sent_size;
    memcpy(wire, fake_sent, length);
    fake_clear();
    for (size_t i = 0; i < length; i++)
        console_feed(wire[i]);
}

/* An input of class 0..3: its two features are high, the others low, and some noise. */
static void load(uint32_t label, uint32_t *noise) {
    int8_t input[HALVES_SIZE];
    for (uint32_t i = 0; i < HALVES_SIZE; i++)
        input[i] = (int8_t)((i / 2 == label ? 60 : -20) + check_between(noise, -15, 15));
    send_frame('I', 0, input, sizeof input);
}

static uint32_t state_crc(nano_train_part part) {
    size_t size;
    const uint8_t *const bytes = nano_train_state(head_net(), part, &size);
    return crc32_update(0, bytes, size);
}

/* All that is saved, once the int8 head has been made, which widens the ranges. */
static uint32_t whole_crc(void) {
    (void)head_prepare();
    return state_crc(NANO_TRAIN_SAVE_ALL);
}

static const char *const sample_commands[] = {"train sample 0%", "train sample 1%",
                                              "train sample 2%", "train sample 3%"};
static const char *const eval_commands[] = {"train eval 0%", "train eval 1%", "train eval 2%",
                                            "train eval 3%"};

static void teach(uint32_t classes, uint32_t samples) {
    uint32_t noise = 99;
    for (uint32_t i = 0; i < samples; i++) {
        load(i % classes, &noise);
        say(sample_commands[i % classes]);
    }
}

/* Right answers of 30 evaluations. */
static uint32_t right(uint32_t classes) {
    uint32_t noise = 12345, before = 0;
    say("train begin%");
    for (uint32_t i = 0; i < 30; i++) {
        load(i % classes, &noise);
        say(eval_commands[i % classes]);
    }
    say("train evals%"); /* no such word: the counters stay */
    say("train eval%");
    for (const uint8_t *c = &fake_sent[15]; *c >= '0' && *c <= '9'; c++)
        before = before * 10 + (uint32_t)(*c - '0');
    return before;
}

static void test_start(void) {
    uint32_t noise = 5;
    memset(fake_store_bytes, 0x5A, sizeof fake_store_bytes);
    fake_store_shape(1024, 4, 4);
    hash[0] = 'f'; /* another model of the same shape */
    CHECK_EQUAL(NANO_ERR_ABI, inference_init());
    CHECK(begins("train status%", "e-[Not done: "));
    CHECK(begins("infer%", "e-[No model: ") && ends("]\r\nm-ready\r\n"));
    hash[0] = '0';
    CHECK_EQUAL(NANO_OK, inference_init());
    CHECK_EQUAL(HEAD_INITIAL, head_get_origin());
    CHECK_EQUAL(APP_TRAIN_ARENA_SIZE, nano_train_arena_size(&halves_train));
    CHECK(answers("train sample 0%", "e-[No input: 0 of 8 bytes loaded]\r\nm-ready\r\n"));
    CHECK(answers("train load%", "e-[Store: nothing is stored]\r\nm-ready\r\n"));
    CHECK(answers("train eval%", "m-train-evals-[0 0]\r\nm-ready\r\n"));
    CHECK(answers("train step 3%", "e-[Not done: calls in the wrong order]\r\nm-ready\r\n"));
    load(0, &noise);
    CHECK(begins("infer 1 0%", "m-warmup-start-0"));
    CHECK_EQUAL(3, inference_output_tensor()->size);
    CHECK(begins("train help%", "train status\r\ntrain begin [RATE [BATCH]]\r\n"));
    CHECK(begins("mem%", "m-mem-arena-[16]\r\nm-mem-db-[8]\r\n"));
    CHECK(ends("m-mem-store-[fake 4096]\r\nm-ready\r\n"));
}

static void test_it_learns(void) {
    CHECK(right(3) < 25);
    CHECK(answers("train begin 0.1 2%", "m-train-begin-[2]\r\nm-ready\r\n"));
    CHECK(answers("train set momentum .5%", "m-train-set-[momentum 3f000000]\r\nm-ready\r\n"));
    teach(3, 90);
    CHECK_EQUAL(90, head_net()->record->samples);
    CHECK_EQUAL(45, head_net()->record->steps);
    CHECK_EQUAL(6, head_net()->record->replay_used);
    CHECK(right(3) >= 29);
    CHECK(answers("results%", "e-[No results yet]\r\nm-ready\r\n"));
    CHECK(begins("infer 1 0%", "m-warmup-start-0"));
    const int8_t *const output = inference_output(); /* of the last input, class 2 */
    CHECK(output[2] > output[0] && output[2] > output[1]);
    CHECK(begins("train step 5%", "m-train-step-[48 95 "));
    CHECK_EQUAL(0, head_net()->pending);
}

static void test_one_more_class(void) {
    uint32_t noise = 77;
    CHECK(answers("train sample 3%", "e-[The head has classes 0 to 2]\r\nm-ready\r\n"));
    CHECK(answers("train class%", "m-train-class-[3 4]\r\nm-ready\r\n"));
    CHECK(begins("train class%", "e-[Not done: "));
    load(3, &noise);
    CHECK(begins("train remember 3%", "m-train-remember-[3 6 91]"));
    teach(4, 120);
    CHECK(right(4) >= 28);
    CHECK(begins("infer 1 0%", "m-warmup-start-0"));
    CHECK_EQUAL(4, inference_output_tensor()->size);
}

/* Whatever is refused changes nothing. */
static void test_refusals(void) {
    static const char *const wrong[] = {
        "train%",
        "train x%",
        "train sample%",
        "train sample x%",
        "train sample 4%",
        "train sample -1%",
        "train sample 65536%",
        "train sample 1 1%",
        "train remember 4%",
        "train step x%",
        "train step 10001%",
        "train eval 4%",
        "train eval 0 0%",
        "train begin x%",
        "train begin 0%",
        "train begin 0.00000001%",
        "train begin 1.2.3%",
        "train begin 0.1 0%",
        "train begin 0.1 1025%",
        "train begin 0.1 65537%",
        "train set%",
        "train set rate%",
        "train set rate x%",
        "train set rate 0%",
        "train set speed 1%",
        "train set momentum 1%",
        "train set clip .%",
        "train save x%",
        "train save head x%",
        "train fetch most%",
        "train fetch 1%",
        "train put%",
        "train put x%",
        "train put 0%",
        "train put 63%",
        "train put 4294967295%",
        "train load x%",
        "train reset x%",
        "train class x%",
        "train status x%",
        "train learn%",
        "train learn x%",
        "train learn 65536%",
        "train learn 1 4%",
        "train score 1%",
        "train threshold x%",
        "train threshold 4294967296%",
        "train threshold auto 1%",
        "train votes 1%",
        "train votes 0 1%",
        "train votes 2 1%",
        "train votes 1 33%",
        "train votes 257 257%",
        "train quantile 0 1%",
        "train quantile 1001 1%",
        "train quantile 1 0%",
        "train sam\x01ple 1%",
        "trainsample 1%",
    };
    uint32_t noise = 3;
    load(1, &noise);
    CHECK(begins("train sample 1%", "m-train-sample-[1 1 ")); /* a mini-batch is under way */
    CHECK_EQUAL(1, head_net()->pending);
    CHECK(answers("train begin 0.5%", "e-[Not done: calls in the wrong order]\r\nm-ready\r\n"));
    const uint32_t state = state_crc(NANO_TRAIN_SAVE_ALL);
    const nano_train_recipe recipe = head_net()->recipe;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK(begins(wrong[i], "e-["));
        CHECK(state_crc(NANO_TRAIN_SAVE_ALL) == state);
        CHECK_EQUAL(1, head_net()->pending);
        CHECK(memcmp(&recipe, &head_net()->recipe, sizeof recipe) == 0);
    }
    send_frame('W', 0, &noise, sizeof noise);
    CHECK(fake_sent[0] == 'e' && state_crc(NANO_TRAIN_SAVE_ALL) == state);
    CHECK(begins("train step%", "m-train-step-["));
}

/* Two recordings of classes 0 and 1 are normal; class 2 is not. */
static void test_anomalies(void) {
    uint32_t noise = 4;
    CHECK(begins("train reset%", "m-train-reset-[head "));
    load(2, &noise);
    CHECK(begins("train score%", "e-[Nothing to score by: train learn first"));
    CHECK(begins("train threshold auto%", "e-[The replay buffer holds fewer than two recordings"));
    CHECK(
        answers("train threshold%", "m-train-threshold-[4294967295 900 1500 2 3]\r\nm-ready\r\n"));
    load(0, &noise);
    CHECK(answers("train learn 7%", "m-train-learn-[7 1 1]\r\nm-ready\r\n"));
    CHECK(begins("train threshold auto%", "e-[The replay buffer holds fewer than two recordings"));
    CHECK(begins("train score%", "m-train-score-[0 0 0 "));
    load(1, &noise);
    CHECK(answers("train learn 7 1%", "m-train-learn-[7 2 2]\r\nm-ready\r\n"));
    for (uint32_t i = 0; i < 2; i++) {
        load(i, &noise);
        CHECK(begins("train learn 9%", "m-train-learn-[9 "));
    }
    CHECK(begins("train quantile 1000 2000%", "m-train-threshold-[4294967295 1000 2000 2 3]"));
    CHECK(begins("train threshold auto%", "m-train-threshold-["));
    const uint32_t threshold = head_net()->record->alarm.threshold;
    CHECK(threshold > 0 && threshold < NANO_TRAIN_NO_THRESHOLD);
    load(2, &noise);
    CHECK(begins("train score%", "m-train-score-[") && fake_sent[15] != '0');
    CHECK_EQUAL(1, head_net()->votes);
    say("train score%");
    CHECK_EQUAL(3, head_net()->votes);
    CHECK(begins("train begin%", "m-train-begin-["));
    CHECK_EQUAL(0, head_net()->votes);
    CHECK(begins("train save all%", "m-train-save-[all "));
    CHECK(begins("train threshold none%", "m-train-threshold-[4294967295 1000 2000 2 3]"));
    CHECK_EQUAL(NANO_OK, inference_init()); /* as after power-on */
    CHECK_EQUAL(threshold, head_net()->record->alarm.threshold);
    CHECK_EQUAL(4, head_net()->record->learned);
    load(0, &noise);
    say("train score%");
    CHECK_EQUAL(0, head_net()->votes);
    CHECK(begins("train status%", "m-train-config-["));
    CHECK(begins("train votes 1 1%", "m-train-threshold-["));
    CHECK(begins("train threshold 0%", "m-train-threshold-[0 1000 2000 1 1]"));
}

static void test_save_and_load(void) {
    const uint32_t all = whole_crc();
    CHECK(begins("train save all%", "m-train-save-[all "));
    CHECK(begins("train reset%", "m-train-reset-[head "));
    CHECK(whole_crc() != all);
    CHECK_EQUAL(3, head_net()->record->classes);
    CHECK(begins("train load%", "m-train-load-[head "));
    CHECK(whole_crc() == all);
    CHECK_EQUAL(HEAD_STORED, head_get_origin());
    CHECK(begins("train step%", "m-train-step-[")); /* nothing is pending: it stays as it is */
    CHECK_EQUAL(HEAD_STORED, head_get_origin());
    CHECK(right(4) >= 28);
    CHECK_EQUAL(NANO_OK, inference_init()); /* as after power-on */
    CHECK(whole_crc() == all);
    fake_store_shape(64, 8, 4);
    CHECK(answers("train save%", "e-[Store: larger than a slot of the store]\r\nm-ready\r\n"));
    fake_store_shape(1024, 0, 4);
    CHECK(answers("train save%", "e-[Store: the board has no store]\r\nm-ready\r\n"));
    CHECK(answers("train load%", "e-[Store: the board has no store]\r\nm-ready\r\n"));
    fake_store_shape(1024, 4, 4);
    CHECK(whole_crc() == all);
}

/* The power fails at every write and erase of a save: what was saved before, or the new one. */
static void test_power_cuts(void) {
    static uint8_t flash[FAKE_STORE_MAX];
    const uint32_t old = whole_crc();
    memcpy(flash, fake_store_bytes, sizeof flash);
    uint32_t cut = 0;
    for (bool finished = false; !finished;) {
        memcpy(fake_store_bytes, flash, sizeof flash);
        CHECK_EQUAL(NANO_OK, inference_init());
        CHECK(whole_crc() == old);
        teach(4, 4);
        const uint32_t new = whole_crc();
        CHECK(new != old);
        cut++;
        fake_store_power(cut, FAKE_TORN, cut);
        say("train save all%");
        finished = fake_sent[0] == 'm';
        fake_store_power(0, FAKE_TORN, 0);
        CHECK_EQUAL(NANO_OK, inference_init());
        const uint32_t got = whole_crc();
        CHECK(got == new || (got == old && !finished));
    }
    CHECK(cut > 100);
}

/* Head bytes from the line, in pieces. */
static void put(const uint8_t *bytes, uint32_t size) {
    for (uint32_t offset = 0; offset < size; offset += 200u) {
        const uint32_t rest = size - offset;
        send_frame('W', offset, &bytes[offset], (uint16_t)(rest < 200u ? rest : 200u));
    }
}

static bool answer_ends(const char *expected) {
    size_t length = 0;
    while (expected[length] != '\0')
        length++;
    return fake_sent_size >= length &&
           memcmp(&fake_sent[fake_sent_size - length], expected, length) == 0;
}

static void begin_put(uint32_t size) {
    char command[] = "train put 0000%";
    for (int i = 13; i > 9; i--, size /= 10)
        command[i] = (char)('0' + size % 10);
    say(command);
}

static void test_a_head_from_the_line(void) {
    static const char *const wants_a_head[] = {
        "train begin%",     "train set rate 0.1%", "train sample 0%", "train remember 0%",
        "train step%",      "train eval 0%",       "train class%",    "train fetch%",
        "train fetch all%", "train save%",
    };
    static uint8_t saved[STATE_MAX];
    uint32_t noise = 1;
    size_t size;
    const uint8_t *const bytes = nano_train_state(head_net(), NANO_TRAIN_SAVE_HEAD, &size);
    CHECK(size <= sizeof saved && size > 256);
    memcpy(saved, bytes, size);
    CHECK(begins("train reset%", "m-train-reset-[head "));
    begin_put((uint32_t)size);
    CHECK(answer_ends("]\r\nm-ready\r\n"));
    put(saved, 200);
    CHECK(answers("infer%", "e-[No input: 0 of 8 bytes loaded]\r\nm-ready\r\n") ||
          answers("infer%", "e-[No head: train put, train load or train reset]\r\nm-ready\r\n"));
    load(0, &noise);
    for (size_t i = 0; i < sizeof wants_a_head / sizeof wants_a_head[0]; i++)
        CHECK(answers(wants_a_head[i],
                      "e-[No head: train put, train load or train reset]\r\nm-ready\r\n"));
    send_frame('W', 199, saved, 20);
    CHECK(fake_sent[0] == 'e');
    send_frame('W', 200, saved, (uint16_t)(size - 199)); /* a byte more than is missing */
    CHECK(fake_sent[0] == 'e');
    CHECK(begins("train status%", "m-train-config-["));
    CHECK(!says("m-train-part-[")); /* there is none */
    put(saved, (uint32_t)size);     /* from the beginning again */
    CHECK(answer_ends("m-load-done\r\nm-ready\r\n"));
    say("train status%");
    CHECK(says("m-train-part-[head ") && says("m-train-part-[all "));
    CHECK(answers("train set decay 0.5%", "m-train-set-[decay 3f000000]\r\nm-ready\r\n"));
    CHECK(begins("train fetch all%", "") && says("m-train-fetch-[all "));
    CHECK(memcmp(head_net()->layer[0].weights,
                 &saved[(uint8_t *)head_net()->layer[0].weights - (uint8_t *)head_net()->record],
                 80) == 0);
    CHECK_EQUAL(4, head_net()->record->classes);
    CHECK(begins("infer 1 0%", "m-warmup-start-0"));
}

/* Of another config, or with numbers out of range: refused, and the head is the initial one. */
static void test_a_wrong_head_from_the_line(void) {
    static uint8_t saved[STATE_MAX];
    size_t size;
    say("train reset%");
    const uint32_t initial = state_crc(NANO_TRAIN_SAVE_HEAD);
    memcpy(saved, nano_train_state(head_net(), NANO_TRAIN_SAVE_HEAD, &size), STATE_MAX / 4);
    for (size_t at = 0; at < 12; at += 4) { /* layout, config, size */
        say("train class%");
        saved[at] ^= 1;
        begin_put((uint32_t)size);
        put(saved, (uint32_t)size);
        CHECK(!answer_ends("m-load-done\r\nm-ready\r\n") && answer_ends("]\r\nm-ready\r\n"));
        CHECK(state_crc(NANO_TRAIN_SAVE_HEAD) == initial);
        CHECK_EQUAL(HEAD_INITIAL, head_get_origin());
        saved[at] ^= 1;
    }
    begin_put((uint32_t)size); /* given up half-way */
    CHECK(begins("train load%", "m-train-load-[head "));
    CHECK_EQUAL(HEAD_STORED, head_get_origin());
    CHECK(right(4) >= 28);
}

/* A flash that breaks off while a head is read leaves no mixture of two heads. */
static void test_a_load_breaks_off(void) {
    CHECK(begins("train save head%", "m-train-save-[head "));
    teach(4, 8);
    fake_store_longest_read = 100; /* of the checks' pieces, but not of the head */
    CHECK(answers("train load%", "e-[Store: the flash failed]\r\nm-ready\r\n"));
    CHECK_EQUAL(HEAD_INITIAL, head_get_origin());
    const uint32_t got = whole_crc();
    say("train reset%");
    CHECK(got == whole_crc());
    fake_store_longest_read = UINT32_MAX;
    CHECK(begins("train load%", "m-train-load-[head "));
}

/* The rate changes behind the answer, and falls back when nothing is understood any more. */
static void test_another_rate(void) {
    CHECK(answers("baud%", "m-baud-[0]\r\nm-ready\r\n"));
    CHECK(answers("baud 2000000%", "e-[The line cannot have this rate]\r\nm-ready\r\n"));
    CHECK(begins("baud x%", "e-[Usage: baud") && begins("baud 1 2%", "e-[Usage: baud"));
    CHECK_EQUAL(0, fake_line_baud);
    CHECK(answers("baud 500000%", "m-baud-[500000]\r\nm-ready\r\n"));
    CHECK_EQUAL(500000, fake_line_baud);
    for (unsigned i = 1; i < BAUD_PATIENCE; i++)
        console_feed(0xFF);
    CHECK_EQUAL(500000, fake_line_baud);
    console_feed(0);
    CHECK_EQUAL(0, fake_line_baud);
    say("%");
    CHECK(answers("baud%", "m-baud-[0]\r\nm-ready\r\n"));
}

int main(void) {
    check_begin();
    RUN(test_start);
    RUN(test_it_learns);
    RUN(test_one_more_class);
    RUN(test_refusals);
    RUN(test_save_and_load);
    RUN(test_power_cuts);
    RUN(test_a_head_from_the_line);
    RUN(test_a_wrong_head_from_the_line);
    RUN(test_a_load_breaks_off);
    RUN(test_another_rate);
    RUN(test_anomalies);
    return check_end();
}
