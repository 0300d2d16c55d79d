/* task.c - the task in which a model runs. */
#include "nano/idf.h"

#include "sdkconfig.h"

#if CONFIG_NANO_TASK_CORE_0
#define CORE 0
#elif CONFIG_NANO_TASK_CORE_1
#define CORE 1
#else
#define CORE tskNO_AFFINITY
#endif

nano_status nano_idf_start_task(TaskFunction_t run, void *argument, TaskHandle_t *task) {
    if (run == NULL)
        return NANO_ERR_ARGUMENT;
    const BaseType_t done = xTaskCreatePinnedToCore(run, "nano", CONFIG_NANO_TASK_STACK, argument,
                                                    CONFIG_NANO_TASK_PRIORITY, task, CORE);
    return done == pdPASS ? NANO_OK : NANO_ERR_MEMORY;
}
