/* load.c - the input buffer's two ways in: `db` and frames. */
#include "load.h"

#include <stddef.h>

#include "app_model.h"
#include "commands.h"
#include "format.h"
#include "input.h"
#include "parse.h"

#define BYTES_A_LINE 8u

static void append(const uint8_t *bytes, uint32_t size) {
    input_append(bytes, size);
    if (input_whole())
        put_text("m-load-done\r\n");
}

static bool begin_hex(const char *word) {
    uint32_t size;
    if (!parse_unsigned(word, UINT32_MAX, &size))
        return false;
    if (size != input_size()) {
        put_open("e");
        put_text("The input has ");
        put_unsigned(input_size());
        put_text(" bytes");
        put_close();
        return true;
    }
    input_begin();
    put_text("m-[Expecting ");
    put_unsigned(size);
    put_text(" bytes]\r\n");
    return true;
}

static bool print_input(void) {
    const uint8_t *const bytes = input_bytes();
    const uint32_t loaded = input_loaded();
    for (uint32_t i = 0; i < loaded; i++) {
        put_text(i % BYTES_A_LINE == 0 ? "m-buffer-" : "-");
        put_hex(bytes[i], 2);
        if (i % BYTES_A_LINE == BYTES_A_LINE - 1 || i + 1 == loaded)
            put_line_end();
    }
    return true;
}

/* Turn a text of hex digits into bytes, over itself. The number of bytes; 0 if it is none. */
static uint32_t decode_hex(char *text) {
    uint32_t digits = 0;
    while (text[digits] != '\0') {
        if (parse_hex_digit(text[digits]) < 0)
            return 0;
        digits++;
    }
    if (digits % 2 != 0)
        return 0;
    uint8_t *const bytes = (uint8_t *)text;
    for (uint32_t i = 0; i < digits / 2; i++)
        bytes[i] = (uint8_t)(parse_hex_digit(text[2 * i]) << 4 | parse_hex_digit(text[2 * i + 1]));
    return digits / 2;
}

static bool append_hex(char *word) {
    const uint32_t size = decode_hex(word);
    const uint32_t room = input_size() - input_loaded();
    if (size == 0)
        put_error("Not an even number of hex digits");
    else if (!input_open())
        put_error("No load under way: begin with db load");
    else
        append((const uint8_t *)word, size < room ? size : room);
    return true;
}

bool command_db(unsigned count, char *const words[]) {
    if (count == 3)
        return same_text(words[1], "load") && begin_hex(words[2]);
    if (count != 2 || same_text(words[1], "load"))
        return false;
    return same_text(words[1], "print") ? print_input() : append_hex(words[1]);
}

/* `e-[Frame` text value text `]` */
static void refuse(const char *before, uint32_t value, const char *after) {
    put_open("e");
    put_text(before);
    put_unsigned(value);
    put_text(after);
    put_close();
}

static void take(const frame_view *frame) {
#ifdef APP_TRAIN
    if (frame->type == 'W') {
        train_take_frame(frame);
        return;
    }
#endif
    const uint32_t begin = frame->offset == 0 ? 0 : input_loaded();
    if (frame->type != 'I') {
        refuse("Frame of type ", frame->type, " is not for the board");
    } else if (frame->offset != begin) {
        refuse("Frame out of place: the next byte is ", begin, "");
    } else if (frame->size > input_size() - begin) {
        refuse("Frame reaches past the input's ", input_size(), " bytes");
    } else {
        if (begin == 0)
            input_begin();
        put_open("m-frame");
        put_unsigned(begin);
        put_text(" ");
        put_unsigned(frame->size);
        put_close();
        append(frame->data, frame->size);
    }
}

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
