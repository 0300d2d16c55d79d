/* frame.c - COBS frames with a CRC, decoded and encoded byte by byte. */
#include "frame.h"

#include "crc32.h"
#include "turn.h"

#define LONGEST_PIECE 254u /* bytes behind one COBS code */

void frame_begin(frame_decoder *decoder, uint8_t *buffer) {
    decoder->bytes = buffer;
    decoder->size = 0;
    decoder->left = 0;
    decoder->zero = 0;
}

static void keep(frame_decoder *decoder, uint8_t byte) {
    if (decoder->size < FRAME_MAX)
        decoder->bytes[decoder->size] = byte;
    if (decoder->size <= FRAME_MAX)
        decoder->size++;
}

void frame_feed(frame_decoder *decoder, uint8_t byte) {
    if (decoder->left > 0) {
        keep(decoder, byte);
        decoder->left--;
        return;
    }
    if (decoder->zero)
        keep(decoder, 0);
    decoder->left = (uint8_t)(byte - 1u);
    decoder->zero = decoder->left < LONGEST_PIECE;
}

static uint32_t little_endian(const uint8_t *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

frame_status frame_end(const frame_decoder *decoder, frame_view *view) {
    if (decoder->size > FRAME_MAX)
        return FRAME_LONG;
    if (decoder->left > 0)
        return FRAME_DAMAGED;
    if (decoder->size <= FRAME_HEAD + FRAME_TAIL)
        return FRAME_SHORT;
    const uint16_t covered = (uint16_t)(decoder->size - FRAME_TAIL);
    view->crc = little_endian(&decoder->bytes[covered]);
    if (crc32_update(0, decoder->bytes, covered) != view->crc)
        return FRAME_CRC;
    view->type = decoder->bytes[0];
    if (view->type != FRAME_COMMAND && covered > FRAME_HEAD + FRAME_MAX_DATA)
        return FRAME_LONG;
    view->offset = little_endian(&decoder->bytes[1]);
    view->data = &decoder->bytes[FRAME_HEAD];
    view->size = (uint16_t)(covered - FRAME_HEAD);
    return FRAME_OK;
}

/* A frame on its way out: its bytes by index, without a copy of the data. */
typedef struct {
    uint8_t head[FRAME_HEAD];
    uint8_t tail[FRAME_TAIL];
    const uint8_t *data;
    uint16_t size; /* of data */
} message;

static uint8_t byte_at(const message *m, unsigned index) {
    if (index < FRAME_HEAD)
        return m->head[index];
    index -= FRAME_HEAD;
    return index < m->size ? m->data[index] : m->tail[index - m->size];
}

static void put_little_endian(uint8_t *bytes, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static void send_stuffed(const message *m) {
    const unsigned total = FRAME_HEAD + m->size + FRAME_TAIL;
    unsigned begin = 0, end;
    do {
        end = begin; /* of the piece: at a zero, at the end, or full */
        while (end < total && end - begin < LONGEST_PIECE && byte_at(m, end) != 0)
            end++;
        put_byte((uint8_t)(end - begin + 1));
        for (unsigned i = begin; i < end; i++)
            put_byte(byte_at(m, i));
        begin = end - begin == LONGEST_PIECE ? end : end + 1;
    } while (end < total);
}

void frame_send(uint8_t type, uint32_t offset, const void *data, uint16_t size) {
    message m;
    m.head[0] = type;
    put_little_endian(&m.head[1], offset);
    m.data = (const uint8_t *)data;
    m.size = size;
    put_little_endian(m.tail, crc32_update(crc32_update(0, m.head, FRAME_HEAD), data, size));
    put_byte(0);
    send_stuffed(&m);
    put_byte(0);
}

void frame_send_all(uint8_t type, const uint8_t *data, uint32_t size) {
    for (uint32_t offset = 0; offset < size; offset += FRAME_MAX_DATA) {
        const uint32_t rest = size - offset;
        frame_send(type, offset, &data[offset],
                   (uint16_t)(rest < FRAME_MAX_DATA ? rest : FRAME_MAX_DATA));
    }
}
