/* baud.c - see baud.h. */
#include "baud.h"

#ifdef APP_BAUD

#include "board.h"
#include "commands.h"
#include "format.h"
#include "parse.h"

static struct {
    uint32_t rate, wanted; /* now, and behind this answer; 0: that of the start */
    uint16_t heard;        /* bytes since the newest whole command or frame */
} state;

void baud_settle(void) {
    if (state.wanted == state.rate)
        return;
    (void)board_baud(state.wanted, true);
    state.rate = state.wanted;
    state.heard = 0;
}

void baud_heard(void) {
    if (state.rate == 0 || ++state.heard < BAUD_PATIENCE)
        return;
    state.wanted = 0;
    baud_settle();
}

void baud_understood(void) {
    state.heard = 0;
}

bool command_baud(unsigned count, char *const words[]) {
    uint32_t wanted = state.rate;
    if (count > 1 && !parse_unsigned(words[1], UINT32_MAX, &wanted))
        return false;
    if (wanted != 0 && !board_baud(wanted, false)) {
        put_error("The line cannot have this rate");
        return true;
    }
    state.wanted = wanted;
    put_open("m-baud");
    put_unsigned(wanted);
    put_close();
    return true;
}

#endif
