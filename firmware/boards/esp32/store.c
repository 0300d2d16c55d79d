/* store.c - the board's store: the partition "head" of partitions.csv.
 *
 * Without that partition there is no store. An encrypted one takes 16 bytes at once, so the unit is
 * 16 for all. */
#include "board.h"

#include <stddef.h>
#include <string.h>

#include "esp_err.h"
#include "esp_partition.h"

#define UNIT 16u
#define PIECE 64u /* bytes compared at once */

static const esp_partition_t *partition(void) {
    static const esp_partition_t *found;
    if (found == NULL)
        found =
            esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "head");
    return found;
}

void board_store(board_store_info *info) {
    const esp_partition_t *const head = partition();
    if (head == NULL)
        return;
    info->sector_size = head->erase_size;
    info->sectors = head->size / head->erase_size;
    info->unit = UNIT;
    info->medium = "flash";
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    return partition() != NULL && esp_partition_read(partition(), offset, to, size) == ESP_OK;
}

static bool holds(uint32_t offset, const uint8_t *bytes, uint32_t size) {
    uint8_t piece[PIECE];
    for (uint32_t done = 0; done < size; done += PIECE) {
        const uint32_t count = size - done < PIECE ? size - done : PIECE;
        if (!board_store_read(offset + done, piece, count) ||
            memcmp(piece, &bytes[done], count) != 0)
            return false;
    }
    return true;
}

bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    if (partition() == NULL || offset % UNIT != 0 || size % UNIT != 0)
        return false;
    return esp_partition_write(partition(), offset, from, size) == ESP_OK &&
           holds(offset, (const uint8_t *)from, size);
}

bool board_store_erase(uint32_t sector) {
    const esp_partition_t *const head = partition();
    if (head == NULL || sector >= head->size / head->erase_size)
        return false;
    return esp_partition_erase_range(head, sector * head->erase_size, head->erase_size) == ESP_OK;
}
