/* task_result.c - result.c as the task's firmware has it. */
#include "task.h"

#include "result.c"
