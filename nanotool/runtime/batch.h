/* batch.h - what the Python runtime needs beyond the library: many inferences in one call, and
 * what cffi cannot name. */
#ifndef NANOTOOL_BATCH_H
#define NANOTOOL_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "nano/nano.h"
#include "nano/train.h"

/* Run `count` inferences. `in` and `out` hold one input and one output behind the other. Stops at
 * the first status that is not NANO_OK and returns it. */
nano_status nanotool_run(nano_net *net, size_t count, const int8_t *in, int8_t *out);

/* Run `count` inferences and keep what every op wrote, taken right after it ran:
 * results[op] holds `count` times the op's out_size bytes. */
nano_status nanotool_run_all(nano_net *net, size_t count, const int8_t *in, int8_t *const *results);

/* The trainer's arithmetic with weights of so many bytes: float32 (4) or int16 (2). */
const nano_train_arithmetic *nanotool_arithmetic(int bytes);

/* "nanotool-sources:" and the digest of the sources that this extension was compiled from. */
const char *nanotool_fingerprint(void);

#endif
