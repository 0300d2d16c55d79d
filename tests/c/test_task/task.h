/* task.h - stands in for app_model.h where the app's sources are compiled once more, for a task
 * whose db holds floats and whose result is one error.
 *
 *     op 0  echo  out[i] = in[i], 7 -> 7 */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "nano/model.h"

#define ECHO_SIZE 7

extern const nano_model echo_model;

#define APP_MODEL echo_model
#define APP_ARENA_SIZE 16u
#define APP_INPUT_SIZE 7u
#define APP_OUTPUT_SIZE 7u

#define APP_PROFILE "ad01"
#define APP_DB_FLOAT32
#define APP_RESULT_MSE

#define board_ticks fake_ticks

#endif
