/* app_model.h - tells the firmware which model it runs. Made by nanotool 0.1.0; do not edit.
 *
 * model    digits, hash 8100f144369184df
 * source   torch: DigitsNet
 * options  target pie, optimize speed
 * options  target mac16, optimize speed
 * options  target armv81m, optimize speed
 * options  target scalar, optimize speed
 * options  target armv7em, optimize speed
 * options  target portable, optimize speed */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "digits.h"

#define APP_MODEL digits_model
#define APP_ARENA_SIZE DIGITS_ARENA_SIZE
#define APP_INPUT_SIZE DIGITS_INPUT_SIZE
#define APP_OUTPUT_SIZE DIGITS_OUTPUT_SIZE

#endif
