/* tile_mve.h - output channels of two pixels (internal). */
#ifndef NANO_CONV2D_TILE_MVE_H
#define NANO_CONV2D_TILE_MVE_H

#include "../../requant_mve.h"

#if NANO_MVE

/* Two pixels and blocks of four outputs. Assembly reads this struct by position. */
typedef struct {
    const int8_t *windows[2];  /* [steps][16] */
    uint32_t more;             /* steps behind the first one */
    int8_t *out;               /* of the first pixel */
    int32_t apart;             /* from an output of the first pixel to the second one's; may be 0 */
    const int32_t *scales_end; /* behind the last block; there is one at least */
    int32_t zero_point;        /* of the outputs */
    const int32_t *scales;     /* [blocks][2][4] */
    const int8_t *weights;     /* [blocks][steps][4][16] */
} nano_tile_mve_job;

/* relu: the output's zero point is -128. */
void nano_tile_mve(const nano_tile_mve_job *job);
void nano_tile_relu_mve(const nano_tile_mve_job *job);

#endif
#endif
