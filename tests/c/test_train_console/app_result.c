/* app_result.c - result.c as the firmware with a trainable head has it. */
#include "app.h"

#include "result.c"
