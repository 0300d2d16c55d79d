/* digits_weights.h - the arrays in flash. Made by nanotool 0.1.0; do not edit.
 *
 * model    digits, hash 8100f144369184df
 * source   torch: DigitsNet
 * options  target pie, optimize speed
 * options  target mac16, optimize speed
 * options  target armv81m, optimize speed
 * options  target scalar, optimize speed
 * options  target armv7em, optimize speed
 * options  target portable, optimize speed */
#ifndef DIGITS_WEIGHTS_H
#define DIGITS_WEIGHTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if NANO_PIE  /* target pie */

extern const int8_t digits_features_0_weights[144];
extern const int32_t digits_features_0_scales[16];
extern const int8_t digits_features_3_weights[1296];
extern const int32_t digits_features_3_scales[32];
extern const int8_t digits_classifier_weights[7856];
extern const int32_t digits_classifier_scales[20];

#elif NANO_MAC16  /* target mac16 */

extern const int16_t digits_features_0_weights[100];
extern const int32_t digits_features_0_scales[24];
extern const int16_t digits_features_3_weights[1156];
extern const int32_t digits_features_3_scales[48];
extern const int16_t digits_classifier_weights[7844];
extern const int32_t digits_classifier_scales[20];

#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)  /* target armv81m */

extern const int8_t digits_features_0_weights[128];
extern const int32_t digits_features_0_scales[16];
extern const int8_t digits_features_3_weights[1280];
extern const int32_t digits_features_3_scales[32];
extern const int8_t digits_classifier_weights[9408];
extern const int32_t digits_classifier_scales[24];

#elif defined(__XTENSA__) || defined(__riscv) || (defined(__arm__) && !defined(__ARM_FEATURE_DSP))  /* target scalar */

extern const uint8_t digits_features_0_weights[72];
extern const int32_t digits_features_0_scales[24];
extern const uint8_t digits_features_3_weights[1152];
extern const int32_t digits_features_3_scales[48];
extern const uint8_t digits_classifier_weights[7840];
extern const int32_t digits_classifier_scales[20];

#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP  /* target armv7em */

extern const int16_t digits_features_0_weights[112];
extern const int16_t digits_features_3_weights[704];
extern const int16_t digits_classifier_weights[3920];
extern const int32_t digits_classifier_scales[20];

#else  /* target portable */

extern const int8_t digits_features_0_weights[72];
extern const int32_t digits_features_0_bias[8];
extern const int32_t digits_features_0_multiplier[8];
extern const int8_t digits_features_0_shift[8];
extern const int8_t digits_features_3_weights[1152];
extern const int32_t digits_features_3_bias[16];
extern const int32_t digits_features_3_multiplier[16];
extern const int8_t digits_features_3_shift[16];
extern const int8_t digits_classifier_weights[7840];
extern const int32_t digits_classifier_bias[10];
extern const int32_t digits_classifier_multiplier[10];
extern const int8_t digits_classifier_shift[10];

#endif

#ifdef __cplusplus
}
#endif
#endif
