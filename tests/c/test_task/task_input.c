/* task_input.c - input.c as the task's firmware has it. */
#include "task.h"

#include "input.c"
