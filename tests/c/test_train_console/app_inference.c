/* app_inference.c - inference.c as the firmware with a trainable head has it. */
#include "app.h"

#include "inference.c"
