/* A task of MLPerf Tiny whose db holds float32 and whose result is the mean squared error. */
#include "task.h" /* in front: it stands in for app_model.h, which the app's headers include */

#include "../check/check.h"

#include <string.h>

#include "console.h"
#include "fake_board.h"
#include "frame.h"
#include "inference.h"
#include "input.h"

static void echo(const void *params, const nano_io *io) {
    (void)params;
    memcpy(io->out, io->in[0], ECHO_SIZE);
}

static const nano_op ops[] = {
    {.run = echo, .in = {0, NANO_NONE}, .out = 8, .scratch = NANO_NONE, .out_size = ECHO_SIZE},
};

static const nano_tensor input = {0, ECHO_SIZE, {ECHO_SIZE, 0, 0, 0}, 0.25f, 3, NANO_INT8, "in"};
static const nano_tensor output = {8, ECHO_SIZE, {ECHO_SIZE, 0, 0, 0}, 0.5f, 2, NANO_INT8, "out"};

/* What comes out is twice as large, and 0.25 more, than what went in. */
const nano_model echo_model = {
    .abi = NANO_ABI,
    .name = "echo",
    .hash = "0123456789abcdef",
    .ops = ops,
    .op_count = 1,
    .arena_size = 16,
    .inputs = &input,
    .outputs = &output,
    .input_count = 1,
    .output_count = 1,
};

static int answers(const char *command, const char *expected) {
    size_t i = 0;
    fake_clear();
    for (; *command != '\0'; command++)
        console_feed((uint8_t)*command);
    while (expected[i] != '\0' && fake_sent[i] == (uint8_t)expected[i])
        i++;
    return expected[i] == '\0' && i == fake_sent_size;
}

static void load(const float *values) {
    uint8_t bytes[ECHO_SIZE * sizeof(float)], wire[64];
    memcpy(bytes, values, sizeof bytes);
    fake_clear();
    frame_send('I', 0, bytes, sizeof bytes);
    const size_t length = fake_sent_size;
    memcpy(wire, fake_sent, length);
    fake_clear();
    for (size_t i = 0; i < length; i++)
        console_feed(wire[i]);
}

static void test_start(void) {
    CHECK_EQUAL(NANO_OK, inference_init());
    CHECK(answers("profile%", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n"
                              "m-model-[ad01]\r\nm-ready\r\n"));
    CHECK(answers("db load 7%", "e-[The input has 28 bytes]\r\nm-ready\r\n"));
    CHECK(answers("db load 28%", "m-[Expecting 28 bytes]\r\nm-ready\r\n"));
    CHECK(answers("infer 1 0%", "e-[No input: 0 of 28 bytes loaded]\r\nm-ready\r\n"));
    CHECK(answers("results%", "e-[No results yet]\r\nm-ready\r\n"));
    CHECK(answers("crc%", "m-crc-image-[cbf43926]\r\nm-crc-input-[-]\r\nm-crc-output-[-]\r\n"
                          "m-ready\r\n"));
    CHECK_EQUAL(NANO_FLOAT32, input_type());
    CHECK_EQUAL(28, input_size());
}

/* Halves go away from zero, what is too large is clamped, NaN is the zero point. */
static void test_quantized(void) {
    static const int8_t expected[] = {3, 4, 2, 127, -128, 5, 3};
    uint32_t nan_bits = 0x7fc00000u;
    float values[] = {0.0f, 0.125f, -0.125f, 1e30f, -32.75f, 0.499f, 0.0f};
    memcpy(&values[6], &nan_bits, sizeof nan_bits);
    load(values);
    inference_run();
    for (int i = 0; i < ECHO_SIZE; i++)
        CHECK_EQUAL(expected[i], inference_output()[i]);
}

/* Inputs of n/4 are exact: q = n + 3, and the answer is (n + 1)/2, n/4 + 1/2 more than the input.
 */
static void test_error(void) {
    static const float zeros[ECHO_SIZE] = {0};
    static const float some[] = {0.0f, 0.25f, -0.5f, 2.0f, -1.0f, 3.0f, 0.75f};
    load(zeros);
    CHECK(answers("infer 2 3%", "m-warmup-start-3\r\nm-warmup-done\r\nm-infer-start-2\r\n"
                                "m-lap-us-4294967295\r\nm-lap-us-4294967295\r\nm-infer-done\r\n"
                                "m-results-[0.250]\r\nm-ready\r\n"));
    load(some);
    /* Of another input than the output's: still the old result. */
    CHECK(answers("results%", "m-results-[0.250]\r\nm-ready\r\n"));
    /* (0.5² + 0.75² + 0² + 2.5² + 0.5² + 3.5² + 1.25²) / 7 = 21.125 / 7 */
    CHECK(answers("infer 1 0%", "m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-1\r\n"
                                "m-lap-us-4294967295\r\nm-lap-us-4294967295\r\nm-infer-done\r\n"
                                "m-results-[3.018]\r\nm-ready\r\n"));
    /* Each command that runs the model has a result of its own. */
    load(zeros);
    CHECK(!answers("layers%", ""));
    CHECK(answers("results%", "m-results-[0.250]\r\nm-ready\r\n"));
    load(some);
    CHECK(!answers("dump 0%", ""));
    CHECK(answers("results%", "m-results-[3.018]\r\nm-ready\r\n"));
    CHECK(answers("db load 28%db 0000803f%results%",
                  "m-[Expecting 28 bytes]\r\nm-ready\r\nm-ready\r\n"
                  "m-results-[3.018]\r\nm-ready\r\n"));
    CHECK(answers("results%", "m-results-[3.018]\r\nm-ready\r\n"));
}

int main(void) {
    check_begin();
    RUN(test_start);
    RUN(test_quantized);
    RUN(test_error);
    return check_end();
}
