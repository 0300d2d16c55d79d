#pragma once

#include "freertos/FreeRTOS.h"

typedef struct tskTaskControlBlock *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);

#define tskNO_AFFINITY ((BaseType_t)0x7FFFFFFF)

/* In bytes, other than in FreeRTOS itself. */
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t xTask);
TickType_t xTaskGetTickCount(void);
void vTaskDelay(TickType_t ticks);
void vTaskDelayUntil(TickType_t *previous, TickType_t increment);
BaseType_t xTaskCreate(void (*code)(void *), const char *name, uint32_t stack, void *argument,
                       UBaseType_t priority, TaskHandle_t *made);
BaseType_t xTaskCreatePinnedToCore(TaskFunction_t code, const char *name, uint32_t stack,
                                   void *argument, UBaseType_t priority, TaskHandle_t *made,
                                   BaseType_t core);
void vTaskDelete(TaskHandle_t task);
