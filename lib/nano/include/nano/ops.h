/* nano/ops.h - the kernels and their parameters.
 *
 * Every kernel is a nano_kernel: `params` points to the struct named after it. Tensors are int8
 * (nano/ops/int16.h: int16), laid out H, W, C; real = scale * (q - zero_point). Arrays belong to
 * the model and stay in flash. docs/numerics.md states each formula; the portable <op>.c is its
 * readable form.
 *
 * Order, which tells where an output may lie over an input. A portable kernel writes every output
 * byte once, in memory order: byte 0, 1, ... (raster over the pixels, channels inner). When it
 * writes byte k it has read all that bytes 0..k need; later it reads only what bytes behind k need.
 * So the overlap is harmless if, for every k,
 *     offset(in) - offset(out) > k - (the first input byte that any byte behind k needs).
 * What byte k, of element [r, o] or [y, x, o], needs:
 *     dense              row r, whole
 *     conv2d             the taps of pixel (y, x) inside the image, channels of o's group only
 *     conv2d_max_pool    the taps of all pixels that the pool takes, before it writes any channel
 *     conv2d_add         the taps of pixel (y, x), before it writes any channel; in[1]: byte k
 *     depthwise_conv2d   the taps of pixel (y, x) inside the image, channel o / m only
 *     conv_transpose2d   every input pixel whose kernel reaches pixel (y, x), all channels
 *     pools              the taps of pixel (y, x) inside the image, channel o only
 *     mean               the elements that it is the mean of
 *     reduce             the elements that it is the largest or smallest of
 *     matmul             row m of a, column n of b, whole
 *     norm               input byte k; all that share its mean it reads before it writes any of
 * them table, flip        input byte k add ... prelu      one byte of a, one of b, where the
 * strides say; the rule holds for each softmax            input byte k; the rest of its row it
 * reads before it writes any of it log_softmax        likewise lstm, gru, rnn     its step's row of
 * x, whole, and the row of out that is written last: out may only overlap x where all begins with
 * zeros, from the first row on svdf               all of x argmax             the elements that it
 * searches; byte k is of element k / 4 transpose          its one input byte gather             its
 * one input byte pad                its one input byte; padding needs none resize_nearest     its
 * one input byte resize_bilinear    the four pixels around (y, x), fewer at the rim, channel o only
 *     quantize           input bytes 4k to 4k + 3
 *     dequantize         input byte k / 4
 *     requantize         the element in its place, before it writes any of its own bytes
 *     softmax_int16      byte k is of element k / 2; the rest as softmax
 * nano_copy alone may write in another order, and not all bytes: byte by byte it reads one and
 * writes it, the last of its axes running fastest. If out_stride falls from axis to axis that is
 * memory order, too.
 *
 * Sums: |bias[o]| + 128 * sum |weights[o]| < 2^31, with the folded bias, so that no accumulator
 * overflows. Every pool window holds at least one tap inside the image. No size is 0. Buffers of
 * float32 and int32 are aligned to 4 bytes, those of int16 to 2, others need no alignment. */
#ifndef NANO_OPS_H
#define NANO_OPS_H

#include "nano/ops/border.h"
#include "nano/ops/depthwise_dsp.h"
#include "nano/ops/depthwise_mve.h"
#include "nano/ops/elementwise.h"
#include "nano/ops/elementwise_mve.h"
#include "nano/ops/int16.h"
#include "nano/ops/int16_dsp.h"
#include "nano/ops/linear.h"
#include "nano/ops/linear_dsp.h"
#include "nano/ops/linear_mve.h"
#include "nano/ops/move.h"
#include "nano/ops/pool.h"
#include "nano/ops/recurrent.h"
#include "nano/ops/rows.h"
#include "nano/ops/mac16.h"
#include "nano/ops/pie.h"
#include "nano/ops/scalar.h"
#include "nano/ops/types.h"

#endif
