/* batch.h - what the Python runtime needs beyond the library: many inferences in one call, and
 * what cffi cannot name. */
#ifndef NANOTOOL_BATCH_H
#define NANOTOOL_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "nano/nano.h"
#include "nano/train.h"

/* Run `count` inferences. in[i] and out[i] hold `count` times input and output i, one behind the
 * other. States are reset before every `reset_every`-th one, counted on from `*done`, which grows
 * with every inference (0: never). Stops at the first status that is not NANO_OK and returns it. */
nano_status nanotool_run(nano_net *net, size_t count, size_t reset_every, size_t *done,
                         const int8_t *const *in, int8_t *const *out);

/* The same, and keep what every op wrote, taken right after it ran: results[op] holds `count` times
 * the op's out_size bytes. */
nano_status nanotool_run_all(nano_net *net, size_t count, size_t reset_every, size_t *done,
                             const int8_t *const *in, int8_t *const *results);

/* The trainer's arithmetic with weights of so many bytes: float32 (4) or int16 (2). */
const nano_train_arithmetic *nanotool_arithmetic(int bytes);

/* "nanotool-sources:" and the digest of the sources that this extension was compiled from. */
const char *nanotool_fingerprint(void);

#endif
