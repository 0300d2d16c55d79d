/* app_commands_nano.c - commands_nano.c as the firmware with a trainable head has it. */
#include "app.h"

#include "commands_nano.c"
