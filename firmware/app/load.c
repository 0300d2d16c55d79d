/* load.c - the input buffer's two ways in: `db` and frames. */
#include "load.h"

#include <stddef.h>

#include "chosen.h"
#include "commands.h"
#include "format.h"
#include "inference.h"
#include "input.h"
#include "parse.h"

#define BYTES_A_LINE 8u

static void append(const uint8_t *bytes, uint32_t size) {
    input_append(bytes, size);
    if (!input_open())
        put_text("m-load-done\r\n");
}

/* `db load N`, all inputs; where there are several also `db load N INPUT`, one of them. */
static bool begin_hex(const char *word, const char *which) {
    uint32_t size, begin = 0, end = input_size();
    if (!parse_unsigned(word, UINT32_MAX, &size))
        return false;
#ifdef SEVERAL_INPUTS
    uint16_t index;
    if (which != NULL) {
        if (!inference_find(APP_MODEL.inputs, INPUT_COUNT, which, &index))
            return false;
        begin = input_offset(index);
        end = input_offset(index + 1u);
    }
#else
    (void)which;
#endif
    if (size != end - begin) {
        put_open("e");
        put_text("The input has ");
        put_unsigned(end - begin);
        put_text(" bytes");
        put_close();
        return true;
    }
    input_begin(begin, end);
    put_text("m-[Expecting ");
    put_unsigned(size);
    put_text(" bytes]\r\n");
    return true;
}

static void print_input(unsigned index) {
    const uint8_t *const bytes = input_bytes() + input_offset(index);
    const uint32_t loaded = input_part(index);
    for (uint32_t i = 0; i < loaded; i++) {
        put_text(i % BYTES_A_LINE == 0 ? "m-buffer-" : "-");
        put_hex(bytes[i], 2);
        if (i % BYTES_A_LINE == BYTES_A_LINE - 1 || i + 1 == loaded)
            put_line_end();
    }
}

/* What is loaded of each input, beginning a line. */
static bool print_inputs(void) {
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        print_input(i);
    return true;
}

static bool append_hex(char *word) {
    const uint32_t size = decode_hex(word);
    const uint32_t room = input_end() - input_next();
    if (size == 0)
        put_error("Not an even number of hex digits");
    else if (!input_open())
        put_error("No load under way: begin with db load");
    else
        append((const uint8_t *)word, size < room ? size : room);
    return true;
}

bool command_db(unsigned count, char *const words[]) {
    if (count >= 3)
        return same_text(words[1], "load") && begin_hex(words[2], count > 3 ? words[3] : NULL);
    if (count != 2 || same_text(words[1], "load"))
        return false;
    return same_text(words[1], "print") ? print_inputs() : append_hex(words[1]);
}

/* `e-[Frame` text value text `]` */
static void refuse(const char *before, uint32_t value, const char *after) {
    put_open("e");
    put_text(before);
    put_unsigned(value);
    put_text(after);
    put_close();
}

#ifdef APP_CONSOLE_READ_ONLY

static void take(const frame_view *frame) {
    refuse("Read-only console: a frame of type ", frame->type, " is refused");
}

#else

static void take(const frame_view *frame) {
#ifdef APP_TRAIN
    if (frame->type == 'W') {
        train_take_frame(frame);
        return;
    }
#endif
#ifdef APP_SAVED_STATE_SIZE
    if (frame->type == 'S') {
        state_take_frame(frame);
        return;
    }
#endif
#ifdef APP_STREAM
    if (frame->type == 'P') {
        stream_take_frame(frame);
        return;
    }
#endif
    const uint32_t fresh = input_from(frame->offset); /* its end, where one begins there */
    const uint32_t begin = fresh != 0 ? frame->offset : input_next();
    const uint32_t end = fresh != 0 ? fresh : input_end();
    if (frame->type != 'I') {
        refuse("Frame of type ", frame->type, " is not for the board");
    } else if (frame->offset != begin) {
        put_frame_misplaced(begin, 0);
    } else if (frame->size > end - begin) {
        refuse("Frame reaches past the input's ", input_size(), " bytes");
    } else {
        if (fresh != 0)
            input_begin(begin, end);
        put_frame_taken(begin, frame->size);
        append(frame->data, frame->size);
    }
}

#endif

void load_frame(frame_status status, const frame_view *view) {
    switch (status) {
    case FRAME_OK:
        take(view);
        break;
    case FRAME_SHORT:
        put_error("Frame too short");
        break;
    case FRAME_LONG:
        put_error("Frame too long");
        break;
    case FRAME_CRC:
        put_error("Frame fails its CRC");
        break;
    case FRAME_DAMAGED:
        put_error("Frame damaged");
        break;
    }
}
