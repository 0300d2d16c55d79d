/* detect.c - see detect.h. The interface is that of mlcommons/tiny, streaming_wakeword: pulses on
 * three pins are what is measured; the outputs since `start` are for people. */
#include "detect.h"

#ifdef APP_DETECT

#include "board.h"
#include "commands.h"
#include "format.h"
#include "inference.h"
#include "sensor.h"

/* Steps whose output is kept: 21 minutes; none where `stop` cannot tell of them. */
#if defined(APP_CONSOLE_READ_ONLY) || defined(APP_CONSOLE_NONE)
#define MOST_KEPT 1u
#else
#define MOST_KEPT 40000u
#endif
#define A_LINE 16u

static struct {
    uint32_t steps, kept, lost;
    int8_t outputs[MOST_KEPT]; /* the first output's first element */
    bool on;
    bool fresh; /* nothing has come yet */
} state;

void detect_end(void) {
    if (state.on)
        sensor_end();
    state.on = false;
}

bool detecting(void) {
    if (state.on && !inference_streaming())
        detect_end(); /* something else has run the model */
    return state.on;
}

static void pulse(board_pin pin) {
    board_set_pin(pin, false);
    const uint32_t begin = board_micros();
    while (board_micros() - begin < 2u) { /* at least one microsecond */
    }
    board_set_pin(pin, true);
}

static void begin_stream(void) {
    inference_stream_begin();
    state.steps = 0;
}

/* Returns how many decisions it brings. */
static uint32_t step(const int16_t *values) {
    uint32_t samples, before, after, ticks;
    inference_stream_count(&samples, &before, &ticks);
    inference_stream_feed(values, APP_DETECT);
    inference_stream_count(&samples, &after, &ticks);
    const nano_stream *const stream = inference_stream();
    if (stream->decider.steps != state.steps && state.kept < MOST_KEPT)
        state.outputs[state.kept++] = *(const int8_t *)nano_output(&stream->net);
    state.steps = stream->decider.steps;
    return after - before;
}

bool detect_work(void) {
    if (!detecting())
        return false;
    const sensor_values seen = sensor_look();
    if (seen.lost != state.lost) {
        begin_stream(); /* two ends are never taken for one sound */
        state.lost = seen.lost;
    }
    if (seen.count >= APP_DETECT) {
        board_set_pin(BOARD_PIN_PROCESSING, true);
        /* The first one, too: all times are told from it on. */
        if (step(seen.values) > 0 || state.fresh)
            pulse(BOARD_PIN_DETECTED);
        state.fresh = false;
        board_set_pin(BOARD_PIN_PROCESSING, false);
        (void)sensor_forget(seen.first + APP_DETECT);
    } else if (seen.cut) {
        (void)sensor_forget(seen.first + seen.count);
    } else {
        return !seen.ended;
    }
    return true;
}

bool detect_begin(void) {
    if (!sensor_begin())
        return false;
    begin_stream();
    state.kept = state.lost = 0;
    state.on = state.fresh = true;
    pulse(BOARD_PIN_TIMESTAMP);
    board_set_pin(BOARD_PIN_PROCESSING, true);
    board_set_pin(BOARD_PIN_PROCESSING, false);
    return true;
}

bool command_start(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    if (detecting()) {
        put_text("Listening already\r\n");
        return true;
    }
    if (!ready_to_listen())
        return true;
    if (detect_begin())
        put_text("Listening\r\n");
    else
        put_error("This board has no sensor for the model");
    return true;
}

bool command_stop(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    if (!detecting()) {
        put_text("Not listening\r\n");
        return true;
    }
    detect_end();
    pulse(BOARD_PIN_TIMESTAMP);
    put_text("target activations:\r\n[");
    for (uint32_t i = 0; i < state.kept; i++) {
        if (i > 0)
            put_text(i % A_LINE == 0 ? ",\r\n" : ", ");
        put_signed(state.outputs[i]);
    }
    put_text("]\r\n");
    return true;
}

#endif
