/* main.c - the whole firmware: a model, a line, a console. */
#include "board.h"
#include "console.h"
#include "format.h"
#include "inference.h"
#include "sensor.h"

int main(int argc, char *argv[]) {
    board_init(argc, argv);
    if (inference_init() != NANO_OK)
        put_error(nano_status_text(inference_status()));
    console_start();
    for (;;) {
        sensor_until_line();
        const int byte = board_getc();
        if (byte < 0)
            break;
        console_feed((uint8_t)byte);
    }
    return 0; /* the line is closed for good: only a native board gets here */
}
