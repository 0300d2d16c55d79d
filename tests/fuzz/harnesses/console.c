/* The whole app behind its line: console, frames, training, store, from power-on to the line's end.
 *
 * The first two bytes are the flash: which operation the power leaves unfinished (0: none), and
 * with what remains. Then the line's bytes. 0x01 in them stands for a whole frame with a right CRC:
 * type, offset (2 bytes), size - 1, data. Whatever has come, an empty frame and a line later the
 * console answers, and is ready. */
#include "../c/fuzz.h"

#include <string.h>

#include "board.h"
#include "fake_board.h"
#include "frame.h"

#define MOST_SENT (1u << 20) /* bytes that answers to one input may have */

static const char last_words[] = "\0name\n"; /* blank lines are not answered */
static const char ready[] = "m-ready\r\n";

static fuzz_input line;
static uint8_t frame[FRAME_MAX + 16u]; /* on its way in */
static size_t frame_size, frame_next;
static int framing;
static size_t words_next;
static uint8_t tail[sizeof ready - 1]; /* what was sent last */
static size_t sent;

void board_putc(uint8_t byte) {
    if (framing) {
        FUZZ_CHECK(frame_size < sizeof frame);
        frame[frame_size++] = byte;
        return;
    }
    memmove(tail, tail + 1, sizeof tail - 1);
    tail[sizeof tail - 1] = byte;
    FUZZ_CHECK(++sent < MOST_SENT);
}

static void make_frame(void) {
    uint8_t data[FRAME_MAX_DATA];
    const uint8_t type = (uint8_t)fuzz_byte(&line);
    const uint32_t offset = fuzz_word(&line), size = fuzz_byte(&line) + 1u;
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)fuzz_byte(&line);
    framing = 1;
    frame_size = frame_next = 0;
    frame_send(type, offset, data, (uint16_t)size);
    framing = 0;
}

int board_getc(void) {
    if (frame_next < frame_size)
        return frame[frame_next++];
    if (line.at < line.end) {
        const uint8_t byte = (uint8_t)fuzz_byte(&line);
        if (byte != 1)
            return byte;
        make_frame();
        return frame[frame_next++];
    }
    return words_next < sizeof last_words - 1 ? last_words[words_next++] : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char name[] = "app", *arguments[] = {name, NULL};
    fuzz_power_on();
    line.at = data;
    line.end = data + size;
    frame_size = frame_next = words_next = sent = 0;
    memset(fake_store_bytes, 0xFF, FAKE_STORE_MAX);
    const uint32_t cut = fuzz_byte(&line);
    const uint32_t seed = fuzz_byte(&line) + 1u;
    fake_store_power(cut, (fake_tearing)(seed % FAKE_TEARINGS), seed);
    fuzz_main(1, arguments);
    FUZZ_CHECK(memcmp(tail, ready, sizeof tail) == 0);
    return 0;
}
