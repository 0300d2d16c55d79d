/* nano/values.h - from what a program has to what a model takes, and back: real numbers, classes.
 *
 *     static const char *const labels[] = DIGITS_LABELS;        // from the generated digits.h
 *     uint16_t best[3];
 *     nano_quantize_input(&net, 0, pixels);                     // 784 floats, as in training
 *     nano_run(&net);
 *     nano_top_classes(&net, 0, best, 3);
 *     printf("%s: %g\n", labels[best[0]], nano_output_real(&net, 0, best[0]));
 *
 * No libm and no doubles; an input that is at hand as int8 is faster written by itself. */
#ifndef NANO_VALUES_H
#define NANO_VALUES_H

#include <stdint.h>

#include "nano/model.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Write input `index` from `real`: as many floats as it has elements, H, W, C, scaled as in
 * training. q = real / scale, rounded exactly to the nearest, halves away from zero, + zero_point,
 * saturating: the bytes that nanotool makes of the same float32s. NaN becomes the zero point. A
 * float32 input takes the numbers as they are. NANO_ERR_ARGUMENT for a NULL, an input that is not
 * there, or one of int32. */
nano_status nano_quantize_input(const nano_net *net, uint16_t index, const float *real);

/* The number that element `element` of output `index` stands for: scale * (q - zero_point); 0 where
 * there is no such element. */
float nano_output_real(const nano_net *net, uint16_t index, uint32_t element);

/* Write to `best` the elements of output `index` with the largest values, the largest first, of
 * equal ones the first first: at most `count` of them, and how many is returned. For a classifier,
 * its likeliest classes. Takes count * elements steps. */
uint16_t nano_top_classes(const nano_net *net, uint16_t index, uint16_t *best, uint16_t count);

#ifdef __cplusplus
}
#endif
#endif
