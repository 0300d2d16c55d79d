/* console.h - the serial console of docs/console.md: takes bytes, answers with lines. */
#ifndef APP_CONSOLE_H
#define APP_CONSOLE_H

#include <stdint.h>

/* Say m-init-done and m-ready. Called once, when all else is ready. */
void console_start(void);

/* Take the next byte from the line. Returns when the answer, if one was due, has been sent. */
void console_feed(uint8_t byte);

#endif
