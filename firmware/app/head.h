/* head.h - the trainable head behind the model (nano/train.h), its memory and its persistence.
 *
 * It is there if app_model.h defines
 *
 *     APP_TRAIN             the const nano_train_config; APP_MODEL computes its features
 *     APP_TRAIN_ARENA_SIZE  bytes that it takes: NANO_TRAIN_ARENA_SIZE() and, of a head with
 *                           scores, NANO_TRAIN_ANOMALY_SIZE()
 *     APP_TRAIN_TARGETS     its outputs, if it shall learn real targets over the line: 4 bytes each
 *
 * Without them the calls below are nothing, and an inference is the model alone. */
#ifndef APP_HEAD_H
#define APP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "app_model.h"
#include "nano/nano.h"

#ifdef APP_TRAIN

#include "nano/train.h"

#include "store.h"

/* Take the memory; then the stored head, if there is a good one, else the initial weights. Called
 * once. What nano_train_init() answers; NANO_ERR_SHAPE or NANO_ERR_ABI if APP_TRAIN was made for
 * another model than APP_MODEL. */
nano_status head_init(void);

/* Make the int8 head of the newest weights, if it is not yet. False: the head is not whole, since
 * head_begin_put(). */
bool head_prepare(void);

/* The int8 head's output, as of the last head_prepare(). */
const nano_tensor *head_output_tensor(const nano_tensor *model);

/* The output for the model's output, valid until the next call. */
const int8_t *head_run(const int8_t *features);

/* Whether the head is the one that the last head_run() was of. */
bool head_unchanged(void);

/* `m-mem-train-[…]` and `m-mem-store-[…]`. */
void head_put_memory(void);

/* The head itself. Whoever changes it calls head_changed(). */
nano_train *head_net(void);
void head_changed(void);

/* Where its weights come from. */
typedef enum {
    HEAD_INITIAL, /* the config's, or random where it has none */
    HEAD_STORED,
    HEAD_TRAINED, /* trained since, or from the line */
    HEAD_VOID     /* nowhere: a put is under way, and the weights are no whole */
} head_origin;
head_origin head_get_origin(void);

/* Back to the initial weights. */
void head_reset(void);

/* Keep that part in the store; get it from there. Where nothing of this model is stored, a load has
 * changed nothing; what cannot be read to its end, or is refused by nano_train_restore(), leaves
 * the initial head: there is no room for a second one. */
store_status head_save(nano_train_part part);
store_status head_load(void);

/* Take a head from the line, into its place: it is not whole from head_begin_put() until
 * head_put() has got all of the bytes. False: no part of a head has this size. */
bool head_begin_put(uint32_t size);

/* The bytes that have come, of how many; 0, 0 if none are awaited. */
void head_get_put(uint32_t *done, uint32_t *size);

/* Begin again with the first byte. */
void head_restart_put(void);

/* The next bytes, which the caller has checked to fit. With the last one: NANO_OK, or why they are
 * refused; the head is then the initial one. Before: NANO_MORE. */
nano_status head_put(const uint8_t *bytes, uint32_t size);

#else

static inline nano_status head_init(void) {
    return NANO_OK;
}

static inline bool head_prepare(void) {
    return true;
}

static inline const nano_tensor *head_output_tensor(const nano_tensor *model) {
    return model;
}

static inline const int8_t *head_run(const int8_t *features) {
    return features;
}

static inline bool head_unchanged(void) {
    return true;
}

static inline void head_put_memory(void) {
}

#endif
#endif
