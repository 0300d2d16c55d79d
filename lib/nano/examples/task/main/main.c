/* main.c - a model in a task of its own: requests come through one queue, answers through another.
 *
 * The model is XOR of two inputs, of two layers with weights that were thought, not learned. One
 * that nanotool made of PyTorch's is run the same way: `nanotool new app --kind esp-idf`. */
#include <stdint.h>
#include <stdio.h>

#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "nano/idf.h"
#include "nano/nano.h"
#include "nano/sequential.h"

/* max(0, a - b) and max(0, b - a), then their sum: every factor is 1, multiplier * 2^(shift - 31).
 */
static const int8_t differences[] = {1, -1, -1, 1}, sum[] = {1, 1};
static const int32_t one[] = {1 << 30};
static const int8_t twice[] = {1};

NANO_ALIGNED static uint8_t bytes[512]; /* all that changes while the model runs */
static nano_net net;
static QueueHandle_t requests, answers;

static nano_status make_model(void) {
    const nano_shape shape = {1, 1, 2};
    const nano_layer_output output = {
        .requant = {.multiplier = one, .shift = twice, .min = 0, .max = 127}, .scale = 1.0f};
    const nano_dense_layer hidden = {.weights = differences, .out_features = 2, .output = output};
    const nano_dense_layer last = {.weights = sum, .out_features = 1, .output = output};
    nano_arena arena;
    nano_sequential model = {0};
    nano_arena_init(&arena, bytes, sizeof bytes);
    nano_status status = nano_sequential_begin(&model, &arena, 2, shape, 1.0f, 0);
    if (status == NANO_OK)
        status = nano_sequential_dense(&model, &hidden);
    if (status == NANO_OK)
        status = nano_sequential_dense(&model, &last);
    return status == NANO_OK ? nano_sequential_end(&model, &net) : status;
}

/* Nobody else touches the net: nano_run() is for one task at a time. */
static void infer(void *unused) {
    int8_t pair[2];
    (void)unused;
    while (xQueueReceive(requests, pair, portMAX_DELAY) == pdTRUE) {
        nano_input(&net)[0] = pair[0];
        nano_input(&net)[1] = pair[1];
        if (nano_run(&net) == NANO_OK)
            xQueueSend(answers, nano_output(&net), portMAX_DELAY);
    }
    vTaskDelete(NULL);
}

void app_main(void) {
    requests = xQueueCreate(4, 2);
    answers = xQueueCreate(4, 1);
    if (requests == NULL || answers == NULL || make_model() != NANO_OK ||
        nano_idf_start_task(infer, NULL, NULL) != NANO_OK) {
        puts("no room for the model, its queues and its task");
        return;
    }
    for (int8_t i = 0; i < 4; i++) {
        const int8_t pair[2] = {(int8_t)(i >> 1), (int8_t)(i & 1)};
        int8_t answer;
        xQueueSend(requests, pair, portMAX_DELAY);
        xQueueReceive(answers, &answer, portMAX_DELAY);
        printf("%d xor %d: %d\n", pair[0], pair[1], answer);
    }
}
