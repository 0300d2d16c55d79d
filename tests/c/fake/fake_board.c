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

uint32_t fake_line_baud;

bool board_baud(uint32_t baud, bool set) {
    if (baud > 1000000)
        return false;
    if (set)
        fake_line_baud = baud;
    return true;
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

uint32_t fake_micros_passing;

uint32_t board_micros(void) {
    static uint32_t passed;
    passed += fake_micros_passing;
    return 4294967295u + passed;
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

int16_t fake_sensor_values[FAKE_SENSOR_MAX];
uint32_t fake_sensor_size, fake_sensor_piece = FAKE_SENSOR_MAX, fake_sensor_gap, fake_sensor_lost;
bool fake_sensor_ends;
static uint32_t sensor_next, sensor_channels;

bool board_waiting(void) {
    return true;
}

bool board_sensor_begin(uint32_t rate, uint32_t channels) {
    sensor_next = 0;
    sensor_channels = channels;
    return rate > 0 && fake_sensor_size > 0;
}

int32_t board_sensor_read(int16_t *values, uint32_t most, uint32_t *lost) {
    uint32_t end = sensor_next + (most < fake_sensor_piece ? most : fake_sensor_piece);
    if (end > fake_sensor_size)
        end = fake_sensor_size;
    if (sensor_next < fake_sensor_gap && end > fake_sensor_gap)
        end = fake_sensor_gap;
    if (fake_sensor_lost > 0 && sensor_next == fake_sensor_gap && end > sensor_next)
        *lost = fake_sensor_lost;
    const uint32_t count = (end - sensor_next) / sensor_channels * sensor_channels;
    for (uint32_t i = 0; i < count; i++)
        values[i] = fake_sensor_values[sensor_next + i];
    sensor_next += count;
    return count == 0 && fake_sensor_ends ? -1 : (int32_t)count;
}

void board_sensor_end(void) {
}

uint32_t fake_pulses[3];

void board_set_pin(board_pin pin, bool high) {
    fake_pulses[pin] += !high;
}

uint8_t fake_store_bytes[FAKE_STORE_MAX];
uint32_t fake_store_operations;
uint32_t fake_store_longest_read = UINT32_MAX;
uint32_t fake_store_failing_reads;

uint8_t fake_store_ones[FAKE_STORE_MAX], fake_store_zeros[FAKE_STORE_MAX],
    fake_store_weak[FAKE_STORE_MAX];
bool fake_store_tells = true, fake_store_erases = true, fake_store_once;
uint32_t fake_store_noise;

static struct {
    board_store_info info;
    uint32_t cut, random;
    fake_tearing how;
} store = {.info = {512, 8, 4, "fake"}, .random = 1};

void fake_store_shape(uint32_t sector_size, uint32_t sectors, uint32_t unit) {
    const board_store_info info = {sector_size, sectors, unit, "fake"};
    store.info = info;
}

void fake_store_power(uint32_t cut, fake_tearing how, uint32_t seed) {
    fake_store_operations = 0;
    store.cut = cut;
    store.how = how;
    store.random = seed | 1u;
}

void fake_store_heal(void) {
    for (size_t i = 0; i < FAKE_STORE_MAX; i++)
        fake_store_ones[i] = fake_store_zeros[i] = fake_store_weak[i] = 0;
    fake_store_tells = fake_store_erases = true;
    fake_store_once = false;
    fake_store_noise = 0;
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

static uint8_t read_byte(uint32_t at) {
    uint8_t value = fake_store_bytes[at];
    if (fake_store_weak[at] != 0)
        value = (uint8_t)(value ^ (fake_store_weak[at] & random_byte()));
    if (fake_store_noise != 0 && (random_byte() << 8 | random_byte()) % (int)fake_store_noise == 0)
        value = (uint8_t)(value ^ 1u << random_byte() % 8u);
    return (uint8_t)((value | fake_store_ones[at]) & ~fake_store_zeros[at]);
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    uint8_t *const bytes = (uint8_t *)to;
    const bool whole = size <= fake_store_longest_read;
    if (!powered())
        return false;
    if (fake_store_failing_reads > 0) {
        fake_store_failing_reads--;
        return false;
    }
    for (uint32_t i = 0; i < (whole ? size : size / 2); i++)
        bytes[i] = read_byte(offset + i);
    return whole;
}

/* A byte becomes `value`; `torn`: on its way there the power goes. */
static void set_byte(uint32_t at, uint8_t value, bool torn) {
    uint8_t *const byte = &fake_store_bytes[at];
    const uint8_t changes = (uint8_t)(*byte ^ value);
    fake_store_weak[at] = torn && store.how == FAKE_UNSTABLE ? changes : 0;
    *byte = torn && store.how == FAKE_TORN ? (uint8_t)(*byte ^ (changes & random_byte())) : value;
}

static bool program_unit(uint32_t offset, const uint8_t *from) {
    bool torn, same = true;
    if (!begin_operation(&torn))
        return false;
    for (uint32_t i = 0; i < store.info.unit && fake_store_once; i++) {
        if (fake_store_bytes[offset + i] != 0xFF)
            return false;
    }
    for (uint32_t i = 0; i < store.info.unit; i++) {
        /* A cell that reads now so, now so still has charge to lose. */
        const uint8_t open = (uint8_t)(fake_store_bytes[offset + i] | fake_store_weak[offset + i]);
        fake_store_bytes[offset + i] = open;
        set_byte(offset + i, open & from[i], torn);
        same = same && read_byte(offset + i) == from[i];
    }
    return !torn && (same || !fake_store_tells);
}

bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    const uint8_t *const bytes = (const uint8_t *)from;
    const uint32_t unit = store.info.unit;
    bool good = offset % unit == 0 && size % unit == 0;
    for (uint32_t at = 0; good && at < size; at += unit)
        good = program_unit(offset + at, &bytes[at]);
    return good;
}

/* A torn one leaves of some bytes what they were, of others zeros, or anything. */
bool board_store_erase(uint32_t sector) {
    bool torn;
    if (sector >= store.info.sectors || !begin_operation(&torn))
        return false;
    for (uint32_t i = 0; fake_store_erases && i < store.info.sector_size; i++) {
        const uint32_t at = sector * store.info.sector_size + i;
        if (torn && store.how == FAKE_TORN && random_byte() % 4u == 0)
            fake_store_bytes[at] = 0;
        set_byte(at, 0xFF, torn);
    }
    return !torn && (fake_store_erases || !fake_store_tells);
}
