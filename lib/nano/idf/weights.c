/* weights.c - weights from a partition. */
#include "nano/idf.h"

#include "nano/weights.h"
#include "sdkconfig.h"

#if CONFIG_NANO_WEIGHTS_PARTITION || CONFIG_NANO_WEIGHTS_PSRAM

#include "esp_heap_caps.h"
#include "esp_partition.h"

/* How many bytes of the partition are an image; 0 if it begins with none, or cannot be read. */
static size_t image_size(const esp_partition_t *partition) {
    uint8_t header[NANO_WEIGHTS_HEADER];
    if (partition->size < sizeof header ||
        esp_partition_read(partition, 0, header, sizeof header) != ESP_OK)
        return 0;
    const size_t size = nano_weights_image_size(header);
    return size <= partition->size ? size : 0;
}

#if CONFIG_NANO_WEIGHTS_PSRAM

static nano_status bring(const esp_partition_t *partition, size_t size, nano_idf_load load) {
    void *const copy = heap_caps_aligned_alloc(NANO_ALIGN, size, MALLOC_CAP_SPIRAM);
    if (copy == NULL)
        return NANO_ERR_MEMORY;
    const nano_status status =
        esp_partition_read(partition, 0, copy, size) == ESP_OK ? load(copy, size) : NANO_ERR_STATE;
    if (status != NANO_OK)
        heap_caps_free(copy);
    return status;
}

#else

static nano_status bring(const esp_partition_t *partition, size_t size, nano_idf_load load) {
    const void *image;
    esp_partition_mmap_handle_t handle;
    if (esp_partition_mmap(partition, 0, size, ESP_PARTITION_MMAP_DATA, &image, &handle) != ESP_OK)
        return NANO_ERR_MEMORY;
    const nano_status status = load(image, size);
    if (status != NANO_OK)
        esp_partition_munmap(handle);
    return status;
}

#endif

nano_status nano_idf_load_weights(nano_idf_load load) {
    const esp_partition_t *const partition = esp_partition_find_first(
        ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, CONFIG_NANO_PARTITION);
    if (load == NULL)
        return NANO_ERR_ARGUMENT;
    if (partition == NULL)
        return NANO_ERR_STATE;
    const size_t size = image_size(partition);
    return size == 0 ? NANO_ERR_STATE : bring(partition, size, load);
}

#else

nano_status nano_idf_load_weights(nano_idf_load load) {
    (void)load;
    return NANO_OK;
}

#endif
