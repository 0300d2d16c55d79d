/* detect.h - the board listens to its own sensor: as MLPerf Tiny's streaming wake word asks it to,
 * `start`, `stop`; or, where the console cannot (APP_CONSOLE_READ_ONLY, APP_CONSOLE_NONE), from the
 * start on. */
#ifndef APP_DETECT_H
#define APP_DETECT_H

#include <stdbool.h>

#include "app_model.h"

#ifdef APP_DETECT

/* Begin to listen. False: the board has no sensor for the model. The model must be ready. */
bool detect_begin(void);

/* Between `start` and `stop`. */
bool detecting(void);

/* Stop, and say nothing. */
void detect_end(void);

/* Take the next step's samples, if they are there. False: not listening, or nothing comes now. */
bool detect_work(void);

#else

static inline bool detect_begin(void) {
    return true;
}

static inline bool detecting(void) {
    return false;
}

static inline void detect_end(void) {
}

static inline bool detect_work(void) {
    return false;
}

#endif

#endif
