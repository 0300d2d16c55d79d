/* commands_mlperf.c - the device side of MLPerf Tiny's serial protocol. */
#include <stddef.h>

#include "board.h"
#include "commands.h"
#include "format.h"
#include "inference.h"
#include "parse.h"
#include "result.h"
#include "turn.h"

#define MOST_INFERENCES 100000u
#define DEFAULT_INFERENCES 1u
#define DEFAULT_WARM_UPS 10u

bool command_name(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    put_text("m-name-dut-[nano]\r\n");
    return true;
}

bool command_profile(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    put_text("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n");
    put_open("m-model");
    put_text(inference_profile());
    put_close();
    return true;
}

static void put_number_line(const char *tag, uint32_t value) {
    put_text(tag);
    put_unsigned(value);
    put_line_end();
}

bool command_timestamp(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    put_number_line("m-lap-us-", board_micros());
    return true;
}

bool command_results(unsigned count, char *const words[]) {
#ifdef SEVERAL_OUTPUTS
    uint16_t index = 0;
    if (count > 1 && !inference_find(APP_MODEL.outputs, OUTPUT_COUNT, words[1], &index))
        return false;
#endif
    (void)count;
    (void)words;
    if (inference_output() == NULL)
        put_error("No results yet");
#ifdef SEVERAL_OUTPUTS
    else if (count > 1)
        put_result_at(index);
#endif
    else
        put_result();
    return true;
}

#ifdef APP_MARKER
/* A power meter sees when the model works: app_model.h asks for it. */
static void timed_inference(void) {
    board_set_pin(BOARD_PIN_PROCESSING, true);
    inference_run();
    board_set_pin(BOARD_PIN_PROCESSING, false);
}
#else
#define timed_inference inference_run
#endif

/* `infer`; and `time`, which is the same for those who fetch the output by `dump`. */
bool command_infer(unsigned count, char *const words[]) {
    uint32_t timed = DEFAULT_INFERENCES, warm_ups = DEFAULT_WARM_UPS;
    if (count > 1 && (!parse_unsigned(words[1], MOST_INFERENCES, &timed) || timed == 0))
        return false;
    if (count > 2 && !parse_unsigned(words[2], MOST_INFERENCES, &warm_ups))
        return false;
    if (!ready_to_infer())
        return true;

    put_number_line("m-warmup-start-", warm_ups);
    inference_warm_up(warm_ups);
    put_text("m-warmup-done\r\n");
    put_number_line("m-infer-start-", timed);
    board_flush(); /* so that sending does not count */
#ifdef APP_SAVED_STATE_SIZE
    if (SAVED_STATE_SIZE != 0)
        turn_once();
#endif
    const uint32_t begin = board_micros();
    for (uint32_t i = 0; i < timed; i++)
        timed_inference();
    const uint32_t end = board_micros();
    put_number_line("m-lap-us-", begin);
    put_number_line("m-lap-us-", end);
    put_text("m-infer-done\r\n");
    result_take();
    if (same_text(words[0], "infer"))
        put_result();
    return true;
}
