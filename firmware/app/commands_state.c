/* commands_state.c - what a model remembers from step to step: `state …` (docs/console.md). */
#include "commands.h"

#include "chosen.h"

#ifdef APP_SAVED_STATE_SIZE

#include <stddef.h>

#include "crc32.h"
#include "format.h"
#include "frame.h"
#include "inference.h"
#include "parse.h"

/* `TAG-[SIZE CRC]` of the saved states as they are now. */
static void put_state(const char *tag) {
    const uint8_t *const bytes = inference_state();
    put_open(tag);
    put_unsigned(SAVED_STATE_SIZE);
    put_text(" ");
    put_hex(crc32_update(0, bytes, SAVED_STATE_SIZE), 8);
    put_close();
}

static bool begin_put(const char *word) {
    uint32_t size;
    if (!parse_unsigned(word, UINT32_MAX, &size))
        return false;
    if (size != SAVED_STATE_SIZE) {
        put_open("e");
        put_text("Saved states have ");
        put_unsigned(SAVED_STATE_SIZE);
        put_text(" bytes");
        put_close();
        return true;
    }
    inference_begin_put();
    put_open("m-state-put");
    put_unsigned(size);
    put_close();
    return true;
}

void state_take_frame(const frame_view *frame) {
    const uint32_t done = inference_put_done();
    const uint32_t next = frame->offset == 0 ? 0 : done;
    if (done == SAVED_STATE_SIZE) {
        put_error("Frame of states that nobody awaits: begin with state put");
    } else if (frame->offset != next || frame->size > SAVED_STATE_SIZE - next) {
        put_frame_misplaced(next, SAVED_STATE_SIZE);
    } else {
        if (next == 0)
            inference_begin_put();
        const nano_status status = inference_put(frame->data, frame->size);
        if (status != NANO_OK && status != NANO_MORE) {
            put_open("e");
            put_text("Not done: ");
            put_text(nano_status_text(status));
            put_close();
            return;
        }
        put_frame_taken(next, frame->size);
        if (status == NANO_OK)
            put_text("m-load-done\r\n");
    }
}

bool command_state(unsigned count, char *const words[]) {
    if (inference_status() != NANO_OK) {
        (void)ready_to_run(); /* says why */
        return true;
    }
    if (SAVED_STATE_SIZE == 0) {
        put_error("The model has no states");
        return true;
    }
    if (count == 3)
        return same_text(words[1], "put") && begin_put(words[2]);
    if (count == 1) {
        put_state("m-state");
    } else if (same_text(words[1], "reset")) {
        inference_reset();
        put_state("m-state-reset");
    } else if (same_text(words[1], "fetch")) {
        frame_send_all('T', inference_state(), SAVED_STATE_SIZE);
        put_state("m-state-fetch");
    } else {
        return false;
    }
    return true;
}

#endif
