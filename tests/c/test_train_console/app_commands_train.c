/* app_commands_train.c - commands_train.c as the firmware with a trainable head has it. */
#include "app.h"

#include "commands_train.c"
