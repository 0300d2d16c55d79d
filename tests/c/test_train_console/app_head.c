/* app_head.c - head.c as the firmware with a trainable head has it. */
#include "app.h"

#include "head.c"
