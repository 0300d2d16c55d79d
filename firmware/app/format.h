/* format.h - text out to the line, without printf, floats or a buffer.
 *
 * Everything goes to put_byte() (turn.h); the length of each call's output is bounded as stated. */
#ifndef APP_FORMAT_H
#define APP_FORMAT_H

#include <stdint.h>

/* The characters of `text`, without its end. */
void put_text(const char *text);

/* CR LF. */
void put_line_end(void);

/* Decimal: 1..10 characters. */
void put_unsigned(uint32_t value);

/* Decimal with a minus where it is due: 1..11 characters. */
void put_signed(int32_t value);

/* The `digits` (1..8) low hex digits of `value`, lower case. */
void put_hex(uint32_t value, unsigned digits);

/* scale * steps with three decimals, rounded to nearest, halves away from zero; no minus before
 * 0.000. `scale_bits` are the bits of a float32 (IEEE 754); `steps` is -255..255, the distance of
 * an int8 from its zero point. Computed exactly, in integers. A magnitude of 2^32 and more, an
 * infinity and a NaN are all shown as 4294967295.999 (0.000 if `steps` is 0). 5..15 characters. */
void put_decimal(uint32_t scale_bits, int32_t steps);

/* A reply line in two parts: put_open("m-model") writes `m-model-[`, put_close() writes `]` CR LF.
 */
void put_open(const char *tag);
void put_close(void);

/* `m-frame-[OFFSET SIZE]` CR LF: the answer to a frame that was taken. */
void put_frame_taken(uint32_t offset, uint32_t size);

/* The answer to a frame that does not begin at byte `next` of the `size` that it is one of (0: of
 * no end), or that reaches beyond. */
void put_frame_misplaced(uint32_t next, uint32_t size);

/* `e-[text]` CR LF. */
void put_error(const char *text);

#endif
