/* fake.c - ESP-IDF for a program that runs on this computer: one partition, a file's bytes; tasks
 * as threads, queues. What is asked of it is told on stderr.
 *
 *     program FILE     app_main(), with FILE as the partition `model`; "" for none */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_heap_caps.h"
#include "esp_partition.h"
#include "freertos/queue.h"
#include "freertos/task.h"

void app_main(void);

static esp_partition_t model;
static uint8_t *content; /* model.size bytes, as mapped: aligned to a page */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int tasks; /* that have begun */
static int ended;

int main(int argc, char **argv) {
    FILE *const file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    content = aligned_alloc(65536, 1 << 20);
    if (file != NULL)
        model.size = (uint32_t)fread(content, 1, 1 << 20, file);
    app_main();
    /* A task that waits for a queue, now that nobody writes to it, has done its work. */
    pthread_mutex_lock(&lock);
    while (ended < tasks)
        pthread_cond_wait(&changed, &lock);
    fflush(stdout);
    exit(0);
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
                                                esp_partition_subtype_t subtype,
                                                const char *label) {
    const int ours = type == ESP_PARTITION_TYPE_DATA && subtype == ESP_PARTITION_SUBTYPE_ANY;
    return ours && strcmp(label, "model") == 0 && model.size > 0 ? &model : NULL;
}

esp_err_t esp_partition_read(const esp_partition_t *partition, size_t src_offset, void *dst,
                             size_t size) {
    if (src_offset + size > partition->size)
        return -1;
    memcpy(dst, content + src_offset, size);
    return ESP_OK;
}

esp_err_t esp_partition_mmap(const esp_partition_t *partition, size_t offset, size_t size,
                             esp_partition_mmap_memory_t memory, const void **out_ptr,
                             esp_partition_mmap_handle_t *out_handle) {
    if (memory != ESP_PARTITION_MMAP_DATA || offset + size > partition->size)
        return -1;
    fprintf(stderr, "mapped %zu\n", size);
    *out_ptr = content + offset;
    *out_handle = 7;
    return ESP_OK;
}

void esp_partition_munmap(esp_partition_mmap_handle_t handle) {
    fprintf(stderr, "unmapped %u\n", (unsigned)handle);
}

void *heap_caps_aligned_alloc(size_t alignment, size_t size, uint32_t caps) {
    fprintf(stderr, "allocated %zu of %x\n", size, (unsigned)caps);
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void heap_caps_free(void *ptr) {
    fprintf(stderr, "freed\n");
    free(ptr);
}

typedef struct {
    TaskFunction_t code;
    void *argument;
} start;

static void *begin(void *given) {
    const start what = *(start *)given;
    free(given);
    what.code(what.argument);
    return NULL;
}

BaseType_t xTaskCreatePinnedToCore(TaskFunction_t code, const char *name, uint32_t stack,
                                   void *argument, UBaseType_t priority, TaskHandle_t *made,
                                   BaseType_t core) {
    start *const what = malloc(sizeof *what);
    pthread_t thread;
    (void)made;
    fprintf(stderr, "task %s: %u bytes, priority %u, core %x\n", name, (unsigned)stack, priority,
            (unsigned)core);
    *what = (start){code, argument};
    tasks++;
    return pthread_create(&thread, NULL, begin, what) == 0 ? pdPASS : 0;
}

static void end(void) {
    ended++;
    pthread_cond_broadcast(&changed);
}

void vTaskDelete(TaskHandle_t which) {
    (void)which;
    pthread_mutex_lock(&lock);
    end();
    pthread_mutex_unlock(&lock);
    pthread_exit(NULL);
}

struct QueueDefinition {
    size_t length, item, count;
    uint8_t bytes[64];
};

QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t item) {
    QueueHandle_t queue = calloc(1, sizeof *queue);
    queue->length = length;
    queue->item = item;
    return length * item <= sizeof queue->bytes ? queue : NULL;
}

BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t ticks) {
    (void)ticks;
    pthread_mutex_lock(&lock);
    while (queue->count == queue->length)
        pthread_cond_wait(&changed, &lock);
    memcpy(&queue->bytes[queue->count++ * queue->item], item, queue->item);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return pdTRUE;
}

BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t ticks) {
    (void)ticks;
    pthread_mutex_lock(&lock);
    if (queue->count == 0)
        end(); /* a task that waits has done its work, unless more comes */
    const int waited = queue->count == 0;
    while (queue->count == 0)
        pthread_cond_wait(&changed, &lock);
    ended -= waited;
    memcpy(item, queue->bytes, queue->item);
    queue->count--;
    memmove(queue->bytes, &queue->bytes[queue->item], queue->count * queue->item);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return pdTRUE;
}
