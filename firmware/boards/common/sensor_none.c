/* sensor_none.c - for boards that have no sensor of their own. */
#include "board.h"

bool board_waiting(void) {
    return true;
}

bool board_sensor_begin(uint32_t rate, uint32_t channels) {
    (void)rate;
    (void)channels;
    return false;
}

int32_t board_sensor_read(int16_t *values, uint32_t most, uint32_t *lost) {
    (void)values;
    (void)most;
    (void)lost;
    return -1;
}

void board_sensor_end(void) {
}

void board_set_pin(board_pin pin, bool high) {
    (void)pin;
    (void)high;
}
