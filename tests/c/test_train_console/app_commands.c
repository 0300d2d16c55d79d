/* app_commands.c - commands.c as the firmware with a trainable head has it. */
#include "app.h"

#include "commands.c"
