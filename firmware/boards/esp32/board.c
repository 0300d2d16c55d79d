/* boards/esp32 - the port for ESP-IDF, 5.1 and later: every chip that it has.
 *
 * Line: UART0 through its driver, 115200 8N1, at the pins that a board's USB bridge is at. Ticks:
 * the core's cycle counter. The app is the main task; nothing else runs but ESP-IDF's own. */
#include "board.h"

#include <stddef.h>

#include "driver/uart.h"
#include "esp_cpu.h"
#include "esp_flash.h"
#include "esp_heap_caps.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"
#include "soc/soc.h"

#define LINE UART_NUM_0
#define BAUD 115200
#define RECEIVE_BUFFER 1024 /* bytes; holds more than the largest frame */

/* What data can be in; caches and code take of it on some chips. */
#define RAM_SIZE ((uint32_t)(SOC_DRAM_HIGH - SOC_DRAM_LOW))

/* From ESP-IDF's linker scripts. */
extern const uint8_t _data_start[], _data_end[], _bss_start[], _bss_end[];

int main(int argc, char *argv[]);
void app_main(void);

static struct {
    int64_t start; /* esp_timer's microseconds */
    size_t sent_size;
    uint8_t sent[128]; /* what board_flush() hands to the driver */
} board;

/* ESP-IDF's entry: the app's is main(). */
void app_main(void) {
    (void)main(0, NULL);
    board_flush();
    board_reset();
}

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    const uart_config_t config = {
        .baud_rate = BAUD,
        .data_bits = UART_DATA_8_BITS,
        .parity = UART_PARITY_DISABLE,
        .stop_bits = UART_STOP_BITS_1,
        .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
        .source_clk = UART_SCLK_DEFAULT,
    };
    ESP_ERROR_CHECK(uart_driver_install(LINE, RECEIVE_BUFFER, 0, 0, NULL, 0));
    ESP_ERROR_CHECK(uart_param_config(LINE, &config));
    board.start = esp_timer_get_time();
}

const char *board_name(void) {
    return CONFIG_IDF_TARGET;
}

uint32_t board_core_hz(void) {
    return CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ * 1000000u;
}

int board_getc(void) {
    uint8_t byte;
    board_flush();
    while (uart_read_bytes(LINE, &byte, 1, portMAX_DELAY) != 1) {
    }
    return byte;
}

void board_putc(uint8_t byte) {
    if (board.sent_size == sizeof board.sent)
        board_flush();
    board.sent[board.sent_size++] = byte;
}

void board_flush(void) {
    if (board.sent_size > 0)
        (void)uart_write_bytes(LINE, board.sent, board.sent_size);
    board.sent_size = 0;
    (void)uart_wait_tx_done(LINE, portMAX_DELAY);
}

/* From the ESP32's 80 MHz, with sixteenths of a clock, every rate up to 5 Mbit/s is near enough. */
bool board_baud(uint32_t baud, bool set) {
    const uint32_t rate = baud == 0 ? BAUD : baud;
    if (rate < 1200 || rate > 5000000)
        return false;
    return !set || uart_set_baudrate(LINE, rate) == ESP_OK;
}

uint32_t board_ticks(void) {
    return (uint32_t)esp_cpu_get_cycle_count();
}

const char *board_tick_source(void) {
    return "ccount";
}

uint32_t board_tick_hz(void) {
    return board_core_hz();
}

uint32_t board_micros(void) {
    return (uint32_t)(esp_timer_get_time() - board.start);
}

static uint32_t flash_size(void) {
    uint32_t size;
    return esp_flash_get_size(NULL, &size) == ESP_OK ? size : 0;
}

/* How much of its partition the image takes is not known to itself. */
void board_memory(board_memory_info *info) {
    info->flash_size = flash_size();
    info->flash_used = 0;
    info->ram_size = RAM_SIZE;
    info->ram_static = (uint32_t)((_data_end - _data_start) + (_bss_end - _bss_start));
    info->stack_size = CONFIG_ESP_MAIN_TASK_STACK_SIZE;
    info->stack_peak = info->stack_size - (uint32_t)uxTaskGetStackHighWaterMark(NULL);
    info->heap_size = (uint32_t)heap_caps_get_total_size(MALLOC_CAP_INTERNAL);
    info->heap_peak =
        info->heap_size - (uint32_t)heap_caps_get_minimum_free_size(MALLOC_CAP_INTERNAL);
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = NULL;
    *size = 0;
}

void board_reset(void) {
    esp_restart();
}
