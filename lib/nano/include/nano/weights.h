/* nano/weights.h - weights that are not linked: a file that is brought at run time.
 *
 * `nanotool export --loadable` writes sources that serve both ways, and a file NAME.TARGET.weights.
 * Compiled with NANO_LOADED_WEIGHTS=1 they have no weights, and NAME_load() binds them to the
 * file's bytes, wherever those are: mapped flash, PSRAM, an update that came over the air.
 *
 *     if (digits_load(image, image_size) != NANO_OK) // before nano_init(), which else refuses
 *         ...
 *
 * A file is little-endian:
 *
 *      0  magic "nanoW\1\r\n"     8  NANO_ABI, uint32_t
 *     12  bytes behind the header, uint32_t
 *     16  their CRC-32 (IEEE 802.3, as in zlib), uint32_t
 *     20  layout, uint32_t: CRC-32 of target, goal and every array's name, type and size
 *     24  the model's hash, 16 hex digits
 *     40  zeros up to 64, then the arrays, each aligned to 16 */
#ifndef NANO_WEIGHTS_H
#define NANO_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "nano/config.h"
#include "nano/model.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef NANO_LOADED_WEIGHTS
#define NANO_LOADED_WEIGHTS 0
#endif

#define NANO_WEIGHTS_HEADER 64u

/* For generated sources: what is const while weights are linked, and an array's address. */
#if NANO_LOADED_WEIGHTS
#define NANO_LINKED_CONST
#define NANO_LINKED(array) NULL
#else
#define NANO_LINKED_CONST const
#define NANO_LINKED(array) array
#endif

/* What a model asks of its file. */
typedef struct {
    const char *hash; /* 16 hex digits: the model's */
    uint32_t layout;
    uint32_t size; /* bytes behind the header */
} nano_weights_id;

/* Bytes of the file that begins with `header`, of which NANO_WEIGHTS_HEADER are there; 0 if it is
 * none. Nothing but magic and size is checked: as much has to be at hand for nano_weights_check().
 */
size_t nano_weights_image_size(const void *header);

/* Find the weights in the file `image`, of which `size` bytes are there (there may be more than it
 * has); it must be aligned to NANO_ALIGN. NANO_OK, and `weights` points behind the header.
 * NANO_ERR_ARGUMENT for a NULL, for no such file or one that is cut off; NANO_ERR_ALIGNMENT;
 * NANO_ERR_ABI for another NANO_ABI, another model or another layout; NANO_ERR_CHECKSUM for damaged
 * bytes; then `weights` is as it was. */
nano_status nano_weights_check(const nano_weights_id *id, const void *image, size_t size,
                               const uint8_t **weights);

#ifdef __cplusplus
}
#endif
#endif
