/* turn.c - see turn.h. */
#include "turn.h"

#include "app_model.h"
#include "board.h"
#include "crc32.h"

#define NUMBER_MASK 0xffffffu

static struct {
    uint32_t number, crc; /* of the newest command that was done */
    uint32_t told;        /* CRC of what was put since turn_begin() */
    uint16_t size;        /* bytes of the newest command's answer; TURN_KEPT + 1: too many */
    bool open;            /* `bind` has come */
    bool telling;         /* between turn_begin() and turn_end() */
    bool keeping;         /* what is put is the newest command's answer */
#ifdef APP_SAVED_STATE_SIZE
    bool once; /* the newest command must not be done again */
#endif
    uint8_t kept[TURN_KEPT];
} state;

void put_byte(uint8_t byte) {
    if (state.telling)
        state.told = crc32_update(state.told, &byte, 1);
    if (state.keeping && state.size <= TURN_KEPT) {
        if (state.size < TURN_KEPT)
            state.kept[state.size] = byte;
        state.size++;
    }
    board_putc(byte);
}

static void put_kept(void) {
    for (unsigned i = 0; i < state.size; i++)
        put_byte(state.kept[i]);
}

turn turn_begin(uint32_t number, uint32_t crc, bool binds) {
    const bool again = state.open && number == state.number && crc == state.crc;
    const bool next = state.open && number == ((state.number + 1u) & NUMBER_MASK);
    state.told = crc;
    state.telling = true;
    if (!again && !next && !binds)
        return TURN_OUT;
    if (again && state.size <= TURN_KEPT) {
        put_kept();
        return TURN_REPEATED;
    }
#ifdef APP_SAVED_STATE_SIZE
    if (again && state.once)
        return TURN_DONE;
    state.once = false;
#endif
    state.number = number;
    state.crc = crc;
    state.size = 0;
    state.open = true;
    state.keeping = true;
    return TURN_DUE;
}

#ifdef APP_SAVED_STATE_SIZE
void turn_once(void) {
    state.once = true;
}
#endif

uint32_t turn_end(void) {
    state.telling = state.keeping = false;
    return state.told;
}

void turn_close(void) {
    state.open = state.telling = state.keeping = false;
}
