/* states.c - a net's states, saved and loaded. */
#include "nano/model.h"

#include "bytes.h"

/* CRC-32 (IEEE 802.3, as in zlib), four bits at a time; `crc` is 0 or that of what came before. */
static uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t size) {
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

typedef struct {
    uint32_t model; /* CRC-32 of the model's hash, a text, and of NANO_ABI, a byte */
    uint32_t size;  /* bytes behind the header */
    uint32_t crc;   /* of those */
} header;

NANO_STATIC_ASSERT(sizeof(header) == NANO_STATE_HEADER, a_saved_state_has_a_header_of_12_bytes);

static uint32_t identity(const nano_model *model) {
    const uint8_t abi = NANO_ABI;
    uint32_t crc = 0;
    for (const char *digit = model->hash; *digit != '\0'; digit++)
        crc = crc32(crc, (const uint8_t *)digit, 1);
    return crc32(crc, &abi, 1);
}

size_t nano_saved_state_size(const nano_model *model) {
    size_t size = 0;
    for (uint16_t i = 0; i < model->state_count; i++)
        size += model->states[i].tensor.size;
    return size == 0 ? 0 : NANO_STATE_HEADER + size;
}

nano_status nano_save_state(const nano_net *net, void *bytes, size_t size) {
    if (net == NULL || net->model == NULL || bytes == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_model *const model = net->model;
    const size_t needed = nano_saved_state_size(model);
    if (net->next != 0 || needed == 0)
        return NANO_ERR_STATE;
    if (size < needed)
        return NANO_ERR_MEMORY;
    uint8_t *const body = (uint8_t *)bytes + NANO_STATE_HEADER;
    uint8_t *to = body;
    for (uint16_t i = 0; i < model->state_count; i++) {
        const nano_tensor *const tensor = &model->states[i].tensor;
        nano_copy_bytes(to, net->base + tensor->offset, tensor->size);
        to += tensor->size;
    }
    const size_t count = needed - NANO_STATE_HEADER;
    const header head = {identity(model), (uint32_t)count, crc32(0, body, count)};
    nano_copy_bytes(bytes, &head, sizeof head);
    return NANO_OK;
}

nano_status nano_load_state(nano_net *net, const void *bytes, size_t size) {
    if (net == NULL || net->model == NULL || bytes == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_model *const model = net->model;
    const size_t needed = nano_saved_state_size(model);
    if (needed == 0)
        return NANO_ERR_STATE;
    if (size < NANO_STATE_HEADER)
        return NANO_ERR_ARGUMENT;
    header head;
    nano_copy_bytes(&head, bytes, sizeof head);
    const uint8_t *from = (const uint8_t *)bytes + NANO_STATE_HEADER;
    if (head.model != identity(model))
        return NANO_ERR_ABI;
    if (size != needed)
        return NANO_ERR_ARGUMENT;
    if (head.size != size - NANO_STATE_HEADER || head.crc != crc32(0, from, head.size))
        return NANO_ERR_CHECKSUM;
    for (uint16_t i = 0; i < model->state_count; i++) {
        const nano_tensor *const tensor = &model->states[i].tensor;
        nano_copy_bytes(net->base + tensor->offset, from, tensor->size);
        from += tensor->size;
    }
    net->next = 0;
    return NANO_OK;
}
