/* baud.h - the line's rate, agreed with a program (docs/console.md, "A faster line").
 *
 * Built where many bytes come over the line: for a model that listens, or that learns. */
#ifndef APP_BAUD_H
#define APP_BAUD_H

#include <stdbool.h>
#include <stdint.h>

#include "app_model.h"

#if defined(APP_STREAM) || defined(APP_TRAIN)
#define APP_BAUD
#endif

/* At another rate than the first, so many bytes without a command or frame that is whole mean that
 * the host talks at the first one: the line goes back to it. Seven of the longest frames. */
#define BAUD_PATIENCE 2048u

#ifdef APP_BAUD

/* The answer is out: from here on the line has the rate that `baud` agreed to. */
void baud_settle(void);

/* A byte has come. */
void baud_heard(void);

/* What came was a whole command or frame. */
void baud_understood(void);

#else

static inline void baud_settle(void) {
}

static inline void baud_heard(void) {
}

static inline void baud_understood(void) {
}

#endif

#endif
