/* main.c - the whole firmware: a model, a line, a console. Without the console
 * (APP_CONSOLE_NONE in app_model.h): a model that listens to the board's sensor. */
#include "board.h"
#include "console.h"
#include "detect.h"
#include "format.h"
#include "inference.h"
#include "sensor.h"

#ifdef APP_CONSOLE_NONE

/* The program that ends starts over: it has failed, or nothing is left to hear (native). */
int main(int argc, char *argv[]) {
    board_init(argc, argv);
    if (inference_init() != NANO_OK || !detect_begin())
        return 1;
    while (detect_work()) {
    }
    return 0;
}

#else

int main(int argc, char *argv[]) {
    board_init(argc, argv);
    if (inference_init() != NANO_OK)
        put_error(nano_status_text(inference_status()));
#ifdef APP_CONSOLE_READ_ONLY
    else if (!detect_begin())
        put_error("This board has no sensor for the model");
#endif
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

#endif
