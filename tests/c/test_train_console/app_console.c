/* app_console.c - console.c as the firmware with a trainable head has it. */
#include "app.h"

#include "console.c"
