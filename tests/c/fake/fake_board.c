/* fake_board.c - see fake_board.h. */
#include "fake_board.h"

#include "board.h"

uint8_t fake_sent[FAKE_SENT_MAX + 1];
size_t fake_sent_size;
unsigned fake_resets;

static uint32_t time_passed;

static const uint8_t image[9] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};

void fake_clear(void) {
    fake_sent_size = 0;
    fake_sent[0] = 0;
}

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
}

const char *board_name(void) {
    return "fake";
}

uint32_t board_core_hz(void) {
    return 16000000;
}

int board_getc(void) {
    return -1;
}

void board_putc(uint8_t byte) {
    if (fake_sent_size < FAKE_SENT_MAX) {
        fake_sent[fake_sent_size] = byte;
        fake_sent[fake_sent_size + 1] = 0;
    }
    fake_sent_size++;
}

void board_flush(void) {
}

/* Every look at the clock takes seven ticks. */
uint32_t board_ticks(void) {
    time_passed += 7;
    return time_passed;
}

const char *board_tick_source(void) {
    return "looks";
}

uint32_t board_tick_hz(void) {
    return 1000;
}

uint32_t board_micros(void) {
    return 4294967295u;
}

void board_memory(board_memory_info *info) {
    const board_memory_info memory = {1000, 100, 200, 20, 30, 3, 0, 0};
    *info = memory;
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = image;
    *size = sizeof image;
}

void board_reset(void) {
    fake_resets++;
}
