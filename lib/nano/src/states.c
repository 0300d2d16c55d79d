/* states.c - a net's states, saved and loaded. */
#include "nano/model.h"

#include "bytes.h"
#include "checksum.h"

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
        crc = nano_crc32(crc, digit, 1);
    return nano_crc32(crc, &abi, 1);
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
    const header head = {identity(model), (uint32_t)count, nano_crc32(0, body, count)};
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
    if (head.size != size - NANO_STATE_HEADER || head.crc != nano_crc32(0, from, head.size))
        return NANO_ERR_CHECKSUM;
    for (uint16_t i = 0; i < model->state_count; i++) {
        const nano_tensor *const tensor = &model->states[i].tensor;
        nano_copy_bytes(net->base + tensor->offset, from, tensor->size);
        from += tensor->size;
    }
    net->next = 0;
    return NANO_OK;
}
