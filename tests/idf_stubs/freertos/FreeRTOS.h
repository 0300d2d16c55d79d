#pragma once

#include <stdint.h>

typedef uint32_t TickType_t;
typedef unsigned int UBaseType_t;

#define portMAX_DELAY ((TickType_t)0xffffffffUL)

typedef int BaseType_t;

#define pdTRUE 1
#define pdPASS 1
#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))
