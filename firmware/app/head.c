/* head.c - see head.h. */
#include "head.h"

#ifdef APP_TRAIN

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "format.h"
#include "parse.h"

/* Seen under this name in the ELF. */
static uint8_t app_train_arena[APP_TRAIN_ARENA_SIZE] NANO_ALIGNED;

static struct {
    nano_train net;
    nano_tensor output;
    uint8_t origin;              /* head_origin */
    bool quantized;              /* the int8 head is that of the newest weights */
    bool unchanged;              /* since the last head_run() */
    uint32_t put_done, put_size; /* bytes of a put under way */
} head;

nano_train *head_net(void) {
    return &head.net;
}

head_origin head_get_origin(void) {
    return (head_origin)head.origin;
}

static void become(head_origin origin) {
    head.origin = (uint8_t)origin;
    head.quantized = false;
    head.unchanged = false;
}

void head_changed(void) {
    become(HEAD_TRAINED);
}

/* Its first bytes: what is saved lies there in one piece. */
static uint8_t *place(void) {
    return (uint8_t *)head.net.record;
}

static uint32_t room(void) {
    return (uint32_t)nano_train_state_size(&head.net, NANO_TRAIN_SAVE_ALL);
}

nano_status head_init(void) {
    nano_arena arena; /* the net keeps only what it took */
    nano_status status = nano_arena_init(&arena, app_train_arena, sizeof app_train_arena);
    if (status == NANO_OK)
        status = nano_train_init(&head.net, &APP_TRAIN, &arena);
    if (status == NANO_OK && head.net.config->features != APP_MODEL.outputs[0].size)
        status = NANO_ERR_SHAPE;
    if (status == NANO_OK && !same_text(head.net.config->backbone, APP_MODEL.hash))
        status = NANO_ERR_ABI; /* as many features, but of another model */
    if (status != NANO_OK)
        return status;
    become(HEAD_INITIAL);
    (void)head_load(); /* there may be none */
    return head_prepare() ? NANO_OK : NANO_ERR_STATE;
}

bool head_prepare(void) {
    if (head.origin == HEAD_VOID)
        return false;
    if (head.quantized)
        return true;
    if (nano_train_quantize(&head.net) != NANO_OK)
        return false;
    const uint32_t classes = head.net.record->classes;
    const nano_tensor output = {
        .size = classes,
        .shape = {(uint16_t)classes},
        .scale = head.net.scale,
        .zero_point = head.net.zero_point,
        .type = NANO_INT8,
    };
    head.output = output;
    head.quantized = true;
    return true;
}

const nano_tensor *head_output_tensor(const nano_tensor *model) {
    (void)model;
    return &head.output;
}

const int8_t *head_run(const int8_t *features) {
    const int8_t *output = NULL;
    (void)nano_train_infer(&head.net, features, &output); /* refuses what is not quantized */
    head.unchanged = true;
    return output;
}

bool head_unchanged(void) {
    return head.unchanged;
}

void head_put_memory(void) {
    board_store_info store = {0};
    board_store(&store);
    put_open("m-mem-train");
    put_unsigned(sizeof app_train_arena);
    put_close();
    put_open("m-mem-store");
    put_text(store.sectors > 0 ? store.medium : "none");
    put_text(" ");
    put_unsigned(store.sectors * store.sector_size);
    put_close();
}

void head_reset(void) {
    head.put_size = head.put_done = 0;
    (void)nano_train_reset(&head.net);
    become(HEAD_INITIAL);
}

/* The bytes stand in their place already, the record in front of them. Refused, they are no head.
 */
static nano_status take(uint32_t size, head_origin origin) {
    nano_status status = NANO_ERR_ABI;
    if (head.net.record->config == nano_train_hash(&APP_TRAIN))
        status = nano_train_restore(&head.net, place(), size);
    if (status == NANO_OK) {
        head.put_size = head.put_done = 0;
        become(origin);
    } else {
        head_reset();
    }
    return status;
}

store_status head_save(nano_train_part part) {
    size_t size;
    const uint8_t *const bytes = nano_train_state(&head.net, part, &size);
    return store_save(nano_train_hash(&APP_TRAIN), bytes, (uint32_t)size);
}

store_status head_load(void) {
    uint32_t size;
    const store_status status = store_load(nano_train_hash(&APP_TRAIN), place(), room(), &size);
    if (status == STORE_FAILED)
        head_reset(); /* some of it may be the stored one's */
    if (status != STORE_OK)
        return status;
    return take(size, HEAD_STORED) == NANO_OK ? STORE_OK : STORE_OTHER;
}

bool head_begin_put(uint32_t size) {
    bool known = false;
    for (int part = NANO_TRAIN_SAVE_HEAD; part <= NANO_TRAIN_SAVE_ALL; part++)
        known = known || size == nano_train_state_size(&head.net, (nano_train_part)part);
    if (!known)
        return false;
    head.put_size = size;
    head_restart_put();
    return true;
}

void head_restart_put(void) {
    head.put_done = 0;
    become(HEAD_VOID);
}

void head_get_put(uint32_t *done, uint32_t *size) {
    *done = head.put_done;
    *size = head.put_size;
}

nano_status head_put(const uint8_t *bytes, uint32_t size) {
    memcpy(place() + head.put_done, bytes, size);
    head.put_done += size;
    return head.put_done < head.put_size ? NANO_MORE : take(head.put_size, HEAD_TRAINED);
}

#endif
