/* console.c - parts the line's bytes into commands and frames, and has each of them answered.
 *
 * A delimiter (0x00) brings every state to BOUNDARY; the byte behind it tells a frame from text.
 * So one delimiter is always enough to find the place again. */
#include "console.h"

#include <stdbool.h>
#include <stddef.h>

#include "app_model.h"
#include "baud.h"
#include "board.h"
#include "commands.h"
#include "format.h"
#include "frame.h"
#include "load.h"
#include "parse.h"
#include "turn.h"

#define LINE_MAX 95u
/* Bytes between the delimiters of the longest frame: the frame and its COBS codes. */
#define FRAME_WIRE_MAX (FRAME_MAX + 2u)

typedef enum {
    LINE,     /* collecting text */
    BOUNDARY, /* a delimiter came last */
    FRAME,    /* between the delimiters of a frame */
    SKIP      /* in a frame that is already known to be bad */
} mode;

typedef enum { LINE_GOOD, LINE_LONG, LINE_UNPRINTABLE } line_fault;

static struct {
    union { /* never both at once */
        char line[LINE_MAX + 1];
        uint8_t frame[FRAME_MAX];
    } bytes;
    frame_decoder decoder;
    uint16_t length; /* LINE: characters kept; FRAME, SKIP: bytes since the delimiter */
    uint8_t mode;
    uint8_t fault; /* LINE: line_fault; SKIP: the frame_status to answer */
    bool fresh;    /* LINE: nothing but blanks and empty lines since the delimiter */
} rx = {.mode = LINE};

static void ready(void) {
    put_text("m-ready\r\n");
    board_flush();
    baud_settle();
}

void console_start(void) {
    turn_close();
    put_text("m-init-done\r\n");
    ready();
}

static void refuse(const char *what, const char *detail) {
    put_open("e");
    put_text(what);
    put_text(detail);
    put_close();
}

/* What is done with these words, which are not more than the command takes. */
static command_handler handler(const command *c, unsigned count, char *const words[]) {
#ifdef APP_CONSOLE_READ_ONLY
    if (count > c->looks && !(count == 2 && same_text(words[1], "status")))
        return command_refused;
#else
    (void)count;
    (void)words;
#endif
    return c->run;
}

/* `plain`: a person's, or the benchmark's. False: the line is blank, and gets no answer. */
static bool execute(char *line, bool plain) {
    char *words[MAX_WORDS];
    const unsigned count = split_words(line, words, MAX_WORDS);
    if (count == 0)
        return false;
    const command *c = commands;
    while (c->name != NULL && !same_text(c->name, words[0]))
        c++;
    if (c->name != NULL)
        baud_understood();
    if (c->name == NULL)
        refuse("Unknown command: ", words[0]);
    else if (count > c->max_words || !handler(c, count, words)(count, words))
        refuse("Usage: ", c->usage);
    else if (plain)
        turn_close();
    return true;
}

/* `TYPE OFFSET` and a piece of data: as a frame of that type and offset. */
static void take_piece(char *line, const uint8_t *data, uint16_t size) {
    char *words[2];
    frame_view piece = {.data = data, .size = size};
    if (split_words(line, words, 2) == 2 && words[0][1] == '\0' && size <= FRAME_MAX_DATA &&
        parse_unsigned(words[1], UINT32_MAX, &piece.offset)) {
        piece.type = (uint8_t)words[0][0];
        load_frame(FRAME_OK, &piece);
    } else {
        load_frame(FRAME_DAMAGED, &piece);
    }
}

/* `m-ready-[NUMBER CRC]`: the answer to a program's command is whole. */
static void ready_for(uint32_t number) {
    const uint32_t told = turn_end();
    put_open("m-ready");
    put_unsigned(number);
    put_byte(' ');
    put_hex(told, 8);
    put_close();
    board_flush();
    baud_settle();
}

/* A command of a program. Its text lies in our own bytes, the frame's CRC behind it. */
static void take_command(const frame_view *view) {
    char *const line = (char *)&rx.bytes.frame[FRAME_HEAD];
    line[view->size] = '\0';
    uint16_t length = 0;
    while (line[length] != '\0')
        length++;
    const bool binds = length == view->size && same_text(line, "bind");
    const turn whose = turn_begin(view->offset, view->crc, binds);
    if (whose == TURN_OUT)
        put_error("Out of turn");
#ifdef APP_SAVED_STATE_SIZE
    else if (whose == TURN_DONE)
        put_error("Done already: the answer was not kept");
#endif
    else if (whose == TURN_DUE && binds)
        put_text("m-bind-[1]\r\n");
    else if (whose == TURN_DUE && length + 1u < view->size)
        take_piece(line, &view->data[length + 1u], (uint16_t)(view->size - length - 1u));
    else if (whose == TURN_DUE)
        (void)execute(line, false);
    ready_for(view->offset);
}

static void begin_line(void) {
    rx.mode = LINE;
    rx.length = 0;
    rx.fault = LINE_GOOD;
}

static void end_line(void) {
    const uint8_t fault = rx.fault;
    rx.bytes.line[rx.length] = '\0';
    rx.fresh = rx.fresh && rx.length == 0 && fault == LINE_GOOD;
    if (fault != LINE_GOOD) {
        put_error(fault == LINE_LONG ? "Line longer than 95 bytes"
                                     : "Line holds an unprintable byte");
        ready();
    } else if (execute(rx.bytes.line, true)) {
        ready();
    }
    begin_line();
}

static bool ends_line(uint8_t byte) {
    return byte == '\r' || byte == '\n' || byte == '%';
}

static void begin_skip(frame_status reason, uint16_t seen) {
    rx.mode = SKIP;
    rx.fault = (uint8_t)reason;
    rx.length = seen;
}

static void line_byte(uint8_t byte) {
    if (ends_line(byte)) {
        end_line();
    } else if (byte == '\t' || (byte >= 0x20 && byte < 0x7f)) {
        if (rx.length < LINE_MAX)
            rx.bytes.line[rx.length++] = byte == '\t' ? ' ' : (char)byte;
        else if (rx.fault == LINE_GOOD)
            rx.fault = LINE_LONG;
    } else if (rx.fresh) {
        begin_skip(FRAME_DAMAGED, rx.length); /* a frame with a broken beginning, not text */
    } else {
        rx.fault = LINE_UNPRINTABLE;
    }
}

static void end_frame(frame_status status) {
    frame_view view;
    if (status == FRAME_OK)
        status = frame_end(&rx.decoder, &view);
    if (status == FRAME_OK)
        baud_understood();
    if (status == FRAME_OK && view.type == FRAME_COMMAND) {
        take_command(&view);
        return;
    }
    if (status == FRAME_OK)
        turn_close();
    load_frame(status, &view);
    ready();
}

static void frame_byte(uint8_t byte) {
    rx.length++;
    frame_feed(&rx.decoder, byte);
    if (rx.length > FRAME_WIRE_MAX)
        begin_skip(FRAME_LONG, rx.length);
}

/* Once the longest frame could have ended, a line's end will do: text is back. */
static void skip_byte(uint8_t byte) {
    if (rx.length <= FRAME_WIRE_MAX) {
        rx.length++;
    } else if (ends_line(byte)) {
        end_frame((frame_status)rx.fault);
        rx.fresh = false;
        begin_line();
    }
}

static void delimiter(void) {
    switch ((mode)rx.mode) {
    case FRAME:
        end_frame(FRAME_OK);
        break;
    case SKIP:
        end_frame((frame_status)rx.fault);
        break;
    case LINE:
        if (rx.length != 0 || rx.fault != LINE_GOOD) {
            put_error("Line cut short by a frame");
            ready();
        }
        break;
    case BOUNDARY:
        break;
    }
    rx.mode = BOUNDARY;
}

static void after_delimiter(uint8_t byte) {
    if (byte >= FRAME_FIRST_MIN && byte <= FRAME_FIRST_MAX) {
        rx.mode = FRAME;
        rx.length = 0;
        frame_begin(&rx.decoder, rx.bytes.frame);
        frame_byte(byte);
    } else {
        begin_line();
        rx.fresh = true;
        line_byte(byte);
    }
}

void console_feed(uint8_t byte) {
    baud_heard();
    if (byte == 0) {
        delimiter();
        return;
    }
    switch ((mode)rx.mode) {
    case LINE:
        line_byte(byte);
        break;
    case BOUNDARY:
        after_delimiter(byte);
        break;
    case FRAME:
        frame_byte(byte);
        break;
    case SKIP:
        skip_byte(byte);
        break;
    }
}
