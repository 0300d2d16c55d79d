/* app_baud.c - baud.c as the firmware with a trainable head has it. */
#include "app.h"

#include "baud.c"
