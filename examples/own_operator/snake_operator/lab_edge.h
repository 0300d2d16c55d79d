/* lab_edge.h - the difference of neighbours along the last axis. */
#ifndef LAB_EDGE_H
#define LAB_EDGE_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[r, i] = store(scale(in[r, i + 1] - in[r, i])); in: rows x (width + 1), out: rows x width.
 * Byte [r, i] of the output needs bytes [r, i] and [r, i + 1] of the input. */
typedef struct {
    uint32_t rows;
    uint32_t width;     /* elements of a row of the output */
    nano_factor factor; /* scale(in) / scale(out) */
    nano_store store;
} lab_edge_params;
void lab_edge(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
