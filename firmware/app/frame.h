/* frame.h - bulk data on the line: 0x00 COBS(type offset data crc) 0x00.
 *
 *     type    1 byte
 *     offset  4 bytes, little-endian
 *     data    1..FRAME_MAX_DATA bytes, FRAME_MAX_TITLE more in a command
 *     crc     4 bytes, little-endian: CRC-32 of all before it
 *
 * COBS (consistent overhead byte stuffing): the message, with a zero thought behind it, is cut
 * behind each zero; a piece of n bytes and its zero are sent as the code n + 1 and the n bytes. A
 * piece of 254 bytes without a zero has the code 255. So no 0x00 remains inside. */
#ifndef APP_FRAME_H
#define APP_FRAME_H

#include <stdint.h>

#define FRAME_MAX_DATA 256u
#define FRAME_COMMAND 'C'   /* the type with more data: */
#define FRAME_MAX_TITLE 32u /* a line and its zero in front of FRAME_MAX_DATA bytes */
#define FRAME_HEAD 5u       /* type, offset */
#define FRAME_TAIL 4u       /* crc */
/* Bytes of a decoded frame. */
#define FRAME_MAX (FRAME_HEAD + FRAME_MAX_TITLE + FRAME_MAX_DATA + FRAME_TAIL)

/* An offset below 2^24 has a zero in its last byte, so the first code, which counts from the type
 * to the first zero, is 2..5. It tells a frame from text, whose bytes are other ones. */
#define FRAME_FIRST_MIN 2u
#define FRAME_FIRST_MAX 5u

typedef enum {
    FRAME_OK,
    FRAME_SHORT,   /* no room for one data byte */
    FRAME_LONG,    /* more than FRAME_MAX bytes */
    FRAME_DAMAGED, /* ends inside a COBS piece */
    FRAME_CRC      /* the CRC does not match */
} frame_status;

/* A frame on its way in. The fields are frame.c's. */
typedef struct {
    uint8_t *bytes; /* FRAME_MAX bytes of the caller's, decoded in order */
    uint16_t size;  /* decoded so far; FRAME_MAX + 1: too many came */
    uint8_t left;   /* bytes of the piece still to come */
    uint8_t zero;   /* 1: a zero is due before the next piece */
} frame_decoder;

/* What a good frame says. `data` points into the decoder's bytes. */
typedef struct {
    uint8_t type;
    uint32_t offset;
    const uint8_t *data;
    uint16_t size; /* 1..FRAME_MAX_DATA; of a command FRAME_MAX_TITLE more */
    uint32_t crc;
} frame_view;

/* Begin to decode into `buffer` (FRAME_MAX bytes), which stays the caller's. */
void frame_begin(frame_decoder *decoder, uint8_t *buffer);

/* Take the next byte between the delimiters, 1..255. */
void frame_feed(frame_decoder *decoder, uint8_t byte);

/* The closing delimiter has come. `view` counts only if the answer is FRAME_OK. */
frame_status frame_end(const frame_decoder *decoder, frame_view *view);

/* Send one frame, delimiters included, with put_byte(). `size` is 1..FRAME_MAX_DATA. */
void frame_send(uint8_t type, uint32_t offset, const void *data, uint16_t size);

/* Send `size` bytes as frames with rising offsets; none for 0 bytes. */
void frame_send_all(uint8_t type, const uint8_t *data, uint32_t size);

#endif
