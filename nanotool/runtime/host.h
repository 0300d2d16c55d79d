/* host.h - kernels for the computer that simulates: the library's formulas on vectors of outputs.
 *
 * They take the place of the portable kernels of the same name and give the same bytes; see
 * host.py. Weights are int16, packed [out / 8][pairs][8][2]: eight outputs side by side, two terms
 * each, zeros where outputs or terms end. */
#ifndef NANOTOOL_HOST_H
#define NANOTOOL_HOST_H

#include <stdint.h>

#include "nano/ops.h"

#define NANOTOOL_HOST_MAX_TERMS 16384

typedef struct {
    nano_dense_params op;
    const int16_t *weights;
} nanotool_host_dense_params;
void nanotool_host_dense(const void *params, const nano_io *io);

typedef struct {
    nano_conv2d_params op; /* groups: 1 */
    const int16_t *weights;
} nanotool_host_conv2d_params;
void nanotool_host_conv2d(const void *params, const nano_io *io);

typedef struct {
    nano_conv2d_max_pool_params op; /* groups: 1 */
    const int16_t *weights;
} nanotool_host_conv2d_max_pool_params;
void nanotool_host_conv2d_max_pool(const void *params, const nano_io *io);

#endif
