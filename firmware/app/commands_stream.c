/* commands_stream.c - raw samples in, steps and decisions out: `stream ...` (docs/console.md). */
#include "commands.h"

#include "chosen.h"

#ifdef APP_STREAM

#include <string.h>

#include "format.h"
#include "inference.h"
#include "parse.h"

#define SAMPLES_A_FRAME (FRAME_MAX_DATA / sizeof(int16_t))
#define OFFSET_MASK 0xffffffu /* offsets count bytes modulo 2^24 */

/* `TAG-[SAMPLES STEPS DECISIONS]` since the beginning. */
static void put_counts(const char *tag) {
    uint32_t samples, decisions, ticks;
    inference_stream_count(&samples, &decisions, &ticks);
    put_open(tag);
    put_unsigned(samples);
    put_text(" ");
    put_unsigned(inference_stream()->decider.steps);
    put_text(" ");
    put_unsigned(decisions);
    put_close();
}

static void put_status(void) {
    uint32_t samples, decisions, ticks;
    inference_stream_count(&samples, &decisions, &ticks);
    put_open("m-stream-rate");
    put_unsigned(APP_SAMPLE_RATE);
    put_close();
    put_open("m-stream-open");
    put_unsigned(inference_streaming());
    put_close();
    put_open("m-stream-ticks");
    put_unsigned(ticks);
    put_close();
    put_counts("m-stream");
}

/* The newest step: its number, the first output's bytes, what it decided. */
static void put_step(void) {
    const nano_stream *const stream = inference_stream();
    const nano_decider *const decider = &stream->decider;
    const uint8_t *const output = (const uint8_t *)nano_output(&stream->net);
    put_open("m-stream-step");
    put_unsigned(decider->steps - 1u);
    put_text(" ");
    for (uint32_t i = 0; i < stream->net.model->outputs[0].size; i++)
        put_hex(output[i], 2);
    put_close();
    for (uint16_t i = 0; i < decider->made_count; i++) {
        const nano_decision *const made = &decider->made[i];
        put_open("m-stream-decision");
        put_unsigned(made->step);
        put_text(" ");
        put_unsigned(made->index);
        put_text(" ");
        put_signed(made->sum);
        put_close();
    }
}

static void feed(const uint8_t *bytes, uint32_t size) {
    int16_t samples[SAMPLES_A_FRAME]; /* the bytes may lie anywhere */
    memcpy(samples, bytes, size);
    inference_stream_feed(samples, size / sizeof(int16_t));
    put_counts("m-stream");
}

bool ready_to_listen(void) {
    if (inference_status() != NANO_OK)
        (void)ready_to_run(); /* says why */
    else if (!inference_listens())
        put_error("The model does not listen");
    else
        return true;
    return false;
}

/* Say what stands against taking `size` bytes of samples. */
static bool ready_to_feed(uint32_t size) {
    if (!inference_streaming())
        put_error("No stream: begin with stream begin");
    else if (size % sizeof(int16_t) != 0)
        put_error("Samples have two bytes");
    else
        return true;
    return false;
}

void stream_take_frame(const frame_view *frame) {
    uint32_t samples, decisions, ticks;
    inference_stream_count(&samples, &decisions, &ticks);
    const uint32_t next = samples * (uint32_t)sizeof(int16_t) & OFFSET_MASK;
    if (!ready_to_listen() || !ready_to_feed(frame->size))
        return;
    if (frame->offset != next) {
        put_frame_misplaced(next, 0);
        return;
    }
    put_frame_taken(next, frame->size);
    feed(frame->data, frame->size);
}

static bool feed_hex(char *word) {
    const uint32_t size = decode_hex(word);
    if (size == 0)
        put_error("Not an even number of hex digits");
    else if (ready_to_feed(size))
        feed((const uint8_t *)word, size);
    return true;
}

bool command_stream(unsigned count, char *const words[]) {
    if (!ready_to_listen())
        return true;
    if (count == 3)
        return same_text(words[1], "feed") && feed_hex(words[2]);
    if (count == 1 || same_text(words[1], "status")) {
        put_status();
    } else if (same_text(words[1], "begin")) {
        inference_stream_begin();
        put_counts("m-stream-begin");
    } else if (same_text(words[1], "step")) {
        if (!inference_streaming() || inference_stream()->decider.steps == 0)
            put_error("No step yet");
        else
            put_step();
    } else {
        return false;
    }
    return true;
}

#endif
