/* app_load.c - load.c as the firmware with a trainable head has it. */
#include "app.h"

#include "load.c"
