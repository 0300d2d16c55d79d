#pragma once

#include "freertos/FreeRTOS.h"

typedef struct tskTaskControlBlock *TaskHandle_t;

/* In bytes, other than in FreeRTOS itself. */
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t xTask);
TickType_t xTaskGetTickCount(void);
void vTaskDelay(TickType_t ticks);
void vTaskDelayUntil(TickType_t *previous, TickType_t increment);
BaseType_t xTaskCreate(void (*code)(void *), const char *name, uint32_t stack, void *argument,
                       UBaseType_t priority, TaskHandle_t *made);
