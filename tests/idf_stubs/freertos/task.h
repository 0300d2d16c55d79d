#pragma once

#include "freertos/FreeRTOS.h"

typedef struct tskTaskControlBlock *TaskHandle_t;

/* In bytes, other than in FreeRTOS itself. */
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t xTask);
