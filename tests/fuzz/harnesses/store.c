/* The store on hostile flash: power cuts, torn writes, flipped and stuck bits, noise, reads that
 * break off, erases that do nothing, sectors and units of any size. What a load brings is, to the
 * byte, what was once saved under its key; and when flash and power are good, what was saved is
 * loaded.
 *
 * 4 bytes of geometry, then operations of 4 bytes: what to do, and with which numbers. */
#include "../c/fuzz.h"

#include <string.h>

#include "fake_board.h"
#include "store.h"

#define MOST 255u /* bytes of a payload */
#define KEYS 3u

static uint8_t ever_saved[256][KEYS]; /* [number][key]: a save of it was begun */
static int good;                      /* nothing bad has happened to the flash so far */
static uint32_t newest[KEYS];         /* number of the newest payload; 256: none */
static uint32_t last_key;

/* Payload `number`: its size and bytes follow from it. Its first byte is the number. */
static uint32_t make(uint32_t number, uint8_t bytes[MOST]) {
    const uint32_t size = 1u + number * 7u % MOST;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number + i * (number | 1u));
    return size;
}

static void save(uint32_t key, uint32_t number) {
    uint8_t bytes[MOST];
    const uint32_t size = make(number, bytes);
    ever_saved[number][key] = 1;
    const store_status status = store_save(key, bytes, size);
    if (status == STORE_OK) {
        newest[key] = number;
        last_key = key;
    } else {
        FUZZ_CHECK(!good || size > store_capacity());
    }
}

static void load(uint32_t key) {
    uint8_t expected[MOST], *const bytes = (uint8_t *)malloc(MOST);
    uint32_t size = 0;
    FUZZ_CHECK(bytes != NULL);
    const store_status status = store_load(key, bytes, MOST, &size);
    if (status == STORE_OK) {
        FUZZ_CHECK(size >= 1 && size <= MOST && ever_saved[bytes[0]][key]);
        FUZZ_CHECK(size == make(bytes[0], expected) && memcmp(bytes, expected, size) == 0);
        FUZZ_CHECK(!good || bytes[0] == newest[key]);
    } else if (good && newest[key] != 256) {
        FUZZ_CHECK(key != last_key && status == STORE_OTHER); /* overwritten by another key's */
    }
    free(bytes);
}

static void flip(uint32_t place, uint32_t bit) {
    fake_store_bytes[place % FAKE_STORE_MAX] ^= (uint8_t)(1u << bit % 8u);
    good = 0;
}

/* Cells that are stuck or weak, noise, a flash that says nothing or erases nothing; or all heals.
 */
static void break_cells(uint32_t how, uint32_t place) {
    uint8_t *const kinds[] = {fake_store_ones, fake_store_zeros, fake_store_weak};
    const uint32_t kind = how % 8u;
    good = 0;
    if (kind < 3)
        kinds[kind][place % FAKE_STORE_MAX] |= (uint8_t)(1u << how / 8u % 8u);
    else if (kind == 3)
        fake_store_noise = place % 1000u;
    else if (kind == 4)
        fake_store_tells = !fake_store_tells;
    else if (kind == 5)
        fake_store_erases = !fake_store_erases;
    else if (kind == 6)
        fake_store_once = !fake_store_once;
    else
        fake_store_heal();
}

static void shape(fuzz_input *in) {
    const uint32_t sectors = fuzz_below(in, 9), unit = 1u << fuzz_below(in, 7);
    const uint32_t size = 64u << fuzz_below(in, 4);
    memset(fake_store_bytes, (int)fuzz_byte(in), FAKE_STORE_MAX);
    fake_store_shape(size, sectors, unit);
    fake_store_power(0, FAKE_TORN, 1);
    good = unit <= 32 && sectors >= 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, data + size};
    fuzz_power_on();
    memset(ever_saved, 0, sizeof ever_saved);
    for (uint32_t key = 0; key < KEYS; key++)
        newest[key] = 256;
    shape(&in);
    while (in.at < in.end) {
        const uint32_t what = fuzz_below(&in, 7), one = fuzz_byte(&in), two = fuzz_word(&in);
        if (what < 2) {
            save(one % KEYS, two % 256u);
        } else if (what == 2) {
            load(one % KEYS);
        } else if (what == 3) {
            flip(two, one);
        } else if (what == 4) {
            /* An operation may stay unfinished, from now on. */
            fake_store_power(one, (fake_tearing)(two % FAKE_TEARINGS), two + 1u);
            good = good && one == 0;
        } else if (what == 5) {
            break_cells(one, two);
        } else {
            fake_store_longest_read = one % 2 == 0 ? UINT32_MAX : two % 300u;
            good = good && one % 2 == 0;
        }
    }
    return 0;
}
