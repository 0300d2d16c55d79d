/* turn.h - whose turn it is, and what binds a program's command and its answer (docs/console.md,
 * "Between programs"). All that the app says goes through here. */
#ifndef APP_TURN_H
#define APP_TURN_H

#include <stdbool.h>
#include <stdint.h>

/* Answers of at most so many bytes are kept, and a repeated command gets them without being done
 * again. Longer ones are those of questions. */
#define TURN_KEPT 112u

typedef enum {
    TURN_DUE,      /* do it */
    TURN_REPEATED, /* done already, and the same answer has been put: there is nothing to do */
    TURN_OUT,      /* not to be done: say so */
    TURN_DONE      /* done already, and the answer was not kept: say so */
} turn;

/* A command with this number (below 2^24) has come, in a frame with this CRC. `binds`: it opens
 * the conversation, and any number will do. What is put from here on, until turn_end(), is its
 * answer. */
turn turn_begin(uint32_t number, uint32_t crc, bool binds);

/* What is being answered must not be done a second time, however long its answer may be. */
void turn_once(void);

/* The answer is whole. Returns the CRC of the command's and the answer's bytes. */
uint32_t turn_end(void);

/* The conversation is over: whatever is not `bind` is out of turn. */
void turn_close(void);

/* Send one byte of an answer. */
void put_byte(uint8_t byte);

#endif
