/* app_input.c - input.c as the firmware with a trainable head has it. */
#include "app.h"

#include "input.c"
