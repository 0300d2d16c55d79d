/* board.h - the whole port. A board is one folder that implements these calls.
 *
 * The app is a single thread that polls; no call here is made from an interrupt. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks, line and tick counter on; watchdogs off. Called once, first, with what main() got; a
 * board without a command line ignores it. */
void board_init(int argc, char *argv[]);

/* The board's name as `info` tells it: "stm32f405". */
const char *board_name(void);

/* Core clock in Hz; 0 where it is unknown or has no meaning. */
uint32_t board_core_hz(void);

/* The next byte from the line, 0..255; waits for it. -1: the line is closed for good (native). */
int board_getc(void);

/* Send one byte; waits until there is room. */
void board_putc(uint8_t byte);

/* Push out what board_putc() may hold back. */
void board_flush(void);

/* Can the line have `baud` bits a second, within 2 %? 0 is the rate of the start, which it always
 * can. `set`: it has it from the next byte on; called with nothing left to send. */
bool board_baud(uint32_t baud, bool set);

/* A free-running counter that wraps at 2^32: the finest the board has. */
uint32_t board_ticks(void);

/* What board_ticks() counts: "dwt", "ccount" (core cycles), "tim2" (timer), "ns" (host clock),
 * "icount", "minstret" (instructions). */
const char *board_tick_source(void);

/* Ticks in a second. */
uint32_t board_tick_hz(void);

/* Microseconds since board_init(); wraps at 2^32. */
uint32_t board_micros(void);

/* Memory, in bytes; 0 where the board cannot know. */
typedef struct {
    uint32_t flash_size, flash_used; /* image: code, constants, initial values */
    uint32_t ram_size, ram_static;   /* all of .data and .bss, arena and input buffer included */
    uint32_t stack_size, stack_peak; /* reserved, and most ever in use (painted at start-up) */
    uint32_t heap_size, heap_peak;   /* a vendor's; we have none. heap_size 0: there is none */
} board_memory_info;
void board_memory(board_memory_info *info); /* comes with zeros */

/* The image in flash, for its CRC; size 0 where it cannot be read. */
void board_image(const uint8_t **start, uint32_t *size);

/* The store: memory apart from the image in which the program keeps what it has learned. It has
 * flash's ways: erasing sets the bits of a sector to 1, programming sets bits to 0. The offsets
 * below count from its first byte. */
typedef struct {
    uint32_t sector_size; /* bytes that are erased at once */
    uint32_t sectors;     /* how many there are; 0: this board has no store */
    uint32_t unit;        /* bytes that are programmed at once: a power of two, at most 32 */
    const char *medium;   /* "flash"; "file" (native); "ram": lost with the power */
} board_store_info;
void board_store(board_store_info *info); /* comes with zeros */

/* Read `size` bytes at `offset`, both of any value inside the store. False: could not be read. */
bool board_store_read(uint32_t offset, void *to, uint32_t size);

/* Program `size` bytes at `offset`, both multiples of the unit, where the store is erased or has
 * these very bytes: once more makes cells sure that a power cut left half programmed. Reads back
 * what it wrote. False: refused, failed, or other bytes are read. */
bool board_store_program(uint32_t offset, const void *from, uint32_t size);

/* Erase one sector. False: refused or failed. */
bool board_store_erase(uint32_t sector);

/* --- For firmware whose app_model.h defines APP_SENSOR --- */

/* Has the line something, so that board_getc() would not wait? */
bool board_waiting(void);

/* Begin to sample: `channels` channels `rate` times a second. False: there is no such sensor. */
bool board_sensor_begin(uint32_t rate, uint32_t channels);

/* Fetch at most `most` of the values that have come since, the channels of a sample in turn, and
 * always whole samples; returns how many, -1 if no more will ever come. `*lost` (comes with 0):
 * about so many came before them and found no room; then these are the first ones behind. */
int32_t board_sensor_read(int16_t *values, uint32_t most, uint32_t *lost);

void board_sensor_end(void);

/* Outputs that an instrument watches: an edge down says when it is, high while work is done (with
 * APP_MARKER also during each timed inference), an edge down where something was detected. Where
 * there are none, nothing happens. */
typedef enum { BOARD_PIN_TIMESTAMP, BOARD_PIN_PROCESSING, BOARD_PIN_DETECTED } board_pin;
void board_set_pin(board_pin pin, bool high);

/* Start over as after power-on; does not return. */
void board_reset(void);

#endif
