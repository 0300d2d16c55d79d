/* task_inference.c - inference.c as the task's firmware has it. */
#include "task.h"

#include "inference.c"
