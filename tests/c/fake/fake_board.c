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

uint8_t fake_store_bytes[FAKE_STORE_MAX];
uint32_t fake_store_operations;
uint32_t fake_store_longest_read = UINT32_MAX;

static struct {
    board_store_info info;
    uint32_t cut, random;
} store = {.info = {512, 8, 4, "fake"}};

void fake_store_shape(uint32_t sector_size, uint32_t sectors, uint32_t unit) {
    const board_store_info info = {sector_size, sectors, unit, "fake"};
    store.info = info;
}

void fake_store_power(uint32_t cut, uint32_t seed) {
    fake_store_operations = 0;
    store.cut = cut;
    store.random = seed | 1u;
}

static uint8_t random_byte(void) {
    store.random ^= store.random << 13;
    store.random ^= store.random >> 17;
    store.random ^= store.random << 5;
    return (uint8_t)(store.random >> 7);
}

static bool powered(void) {
    return store.cut == 0 || fake_store_operations < store.cut;
}

static bool begin_operation(bool *torn) {
    if (!powered())
        return false;
    *torn = ++fake_store_operations == store.cut;
    return true;
}

void board_store(board_store_info *info) {
    *info = store.info;
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    uint8_t *const bytes = (uint8_t *)to;
    const bool whole = size <= fake_store_longest_read;
    if (!powered())
        return false;
    for (uint32_t i = 0; i < (whole ? size : size / 2); i++)
        bytes[i] = fake_store_bytes[offset + i];
    return whole;
}

/* An unfinished one has cleared some of the bits that it had to. */
static bool program_unit(uint32_t offset, const uint8_t *from) {
    bool torn, same = true;
    if (!begin_operation(&torn))
        return false;
    for (uint32_t i = 0; i < store.info.unit; i++) {
        uint8_t *const byte = &fake_store_bytes[offset + i];
        *byte &= (uint8_t)(from[i] | (torn ? random_byte() : 0u));
        same = same && *byte == from[i];
    }
    return same && !torn;
}

bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    const uint8_t *const bytes = (const uint8_t *)from;
    const uint32_t unit = store.info.unit;
    bool good = offset % unit == 0 && size % unit == 0;
    for (uint32_t at = 0; good && at < size; at += unit)
        good = program_unit(offset + at, &bytes[at]);
    return good;
}

/* An unfinished one leaves of each byte what it was, what it should be, zeros, or anything. */
bool board_store_erase(uint32_t sector) {
    bool torn;
    if (sector >= store.info.sectors || !begin_operation(&torn))
        return false;
    for (uint32_t i = 0; i < store.info.sector_size; i++) {
        uint8_t *const byte = &fake_store_bytes[sector * store.info.sector_size + i];
        const uint8_t how = torn ? random_byte() % 4u : 1u;
        if (how == 1)
            *byte = 0xFF;
        else if (how > 1)
            *byte = how == 2 ? 0 : random_byte();
    }
    return !torn;
}
