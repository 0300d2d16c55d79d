/* nano/idf.h - what ESP-IDF adds: weights from a partition, a task for inference.
 *
 * `idf.py menuconfig`, nano-int8, says where weights are and on which core the task runs. */
#ifndef NANO_IDF_H
#define NANO_IDF_H

#include <stddef.h>

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A generated model's NAME_load(). */
typedef nano_status (*nano_idf_load)(const void *image, size_t size);

/* Bring the weights from the partition CONFIG_NANO_PARTITION: mapped through the cache, or copied
 * to PSRAM, as Kconfig says; then `load` checks magic, size, CRC, ABI, model and layout. They stay
 * as long as the program runs: call it once, before nano_init(). Where the weights are in the
 * program there is nothing to bring: NANO_OK, and `load`, which may be NULL then, is not called.
 *
 * NANO_ERR_STATE if there is no such partition or it cannot be read, NANO_ERR_MEMORY if there are
 * not enough pages to map it or not enough PSRAM, what `load` says of damaged, stale or foreign
 * ones; then nothing stays mapped or allocated. */
nano_status nano_idf_load_weights(nano_idf_load load);

/* Start `run` as a task of its own, "nano", with stack, priority and core of Kconfig. `run` must
 * not return. NANO_ERR_ARGUMENT for a NULL, NANO_ERR_MEMORY if there is no room for it. `task` may
 * be NULL. */
nano_status nano_idf_start_task(TaskFunction_t run, void *argument, TaskHandle_t *task);

#ifdef __cplusplus
}
#endif
#endif
