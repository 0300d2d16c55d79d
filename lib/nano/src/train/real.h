/* real.h - the few functions of float32 that training needs, without a math library (internal).
 * Their bounds are checked against double precision by tests/python/test_training.py. */
#ifndef NANO_TRAIN_REAL_H
#define NANO_TRAIN_REAL_H

/* exp(x) for x <= 0, within 2 ulp; 0 below -87. */
float nano_train_expf(float x);

/* log(x) for normal x >= 1, within 2 ulp, or 2^-24 where it is smaller. */
float nano_train_logf(float x);

/* sqrt(x) for x >= 0, within 1 ulp; the core's instruction where there is one. */
float nano_train_sqrtf(float x);

/* base^exponent for 0 <= base <= 1, by squaring. */
float nano_train_powf(float base, unsigned long exponent);

#endif
