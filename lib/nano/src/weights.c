/* weights.c - is a file the weights that a model asks for? */
#include "nano/weights.h"

#include "checksum.h"

static const uint8_t magic[8] = {'n', 'a', 'n', 'o', 'W', 1, '\r', '\n'};

/* Places in the header. */
#define ABI 8
#define SIZE 12
#define CRC 16
#define LAYOUT 20
#define HASH 24
#define HASH_SIZE 16

static uint32_t number(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int same(const uint8_t *bytes, const void *as, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != ((const uint8_t *)as)[i])
            return 0;
    return 1;
}

size_t nano_weights_image_size(const void *header) {
    const uint8_t *const at = (const uint8_t *)header;
    if (at == NULL || !same(at, magic, sizeof magic) ||
        number(at + SIZE) > UINT32_MAX - NANO_WEIGHTS_HEADER)
        return 0;
    return (size_t)NANO_WEIGHTS_HEADER + number(at + SIZE);
}

nano_status nano_weights_check(const nano_weights_id *id, const void *image, size_t size,
                               const uint8_t **weights) {
    const uint8_t *const at = (const uint8_t *)image;
    if (id == NULL || at == NULL || weights == NULL || size < NANO_WEIGHTS_HEADER)
        return NANO_ERR_ARGUMENT;
    if ((uintptr_t)at % NANO_ALIGN != 0)
        return NANO_ERR_ALIGNMENT;
    const size_t whole = nano_weights_image_size(image);
    if (whole == 0)
        return NANO_ERR_ARGUMENT;
    if (number(at + ABI) != NANO_ABI || number(at + LAYOUT) != id->layout ||
        !same(at + HASH, id->hash, HASH_SIZE) || number(at + SIZE) != id->size)
        return NANO_ERR_ABI;
    if (size < whole)
        return NANO_ERR_ARGUMENT;
    if (number(at + CRC) != nano_crc32(0, at + NANO_WEIGHTS_HEADER, id->size))
        return NANO_ERR_CHECKSUM;
    *weights = at + NANO_WEIGHTS_HEADER;
    return NANO_OK;
}
