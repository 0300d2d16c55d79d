/* app_model.h - the model of the app's unit tests: small.c. */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "small.h"

#define APP_MODEL small_model
#define APP_ARENA_SIZE SMALL_ARENA_SIZE
#define APP_INPUT_SIZE SMALL_INPUT_SIZE

#endif
