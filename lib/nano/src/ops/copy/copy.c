/* out[out_offset + sum_d i[d]*out_stride[d]] = in[in_offset + sum_d i[d]*in_stride[d]], d = 0..3;
 * the last axis runs fastest. */
#include "nano/ops.h"

#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) word;

/* Four words; both pointers go on. gcc loads and stores them one by one. */
static inline void copy_four(const word **source, word **target) {
#if defined(__thumb__)
    __asm__ volatile("ldmia %0!, {r3-r6}\n\tstmia %1!, {r3-r6}"
                     : "+l"(*source), "+l"(*target)
                     :
                     : "r3", "r4", "r5", "r6", "memory");
#else
    const word a = (*source)[0], b = (*source)[1], c = (*source)[2], d = (*source)[3];
    (*target)[0] = a;
    (*target)[1] = b;
    (*target)[2] = c;
    (*target)[3] = d;
    *source += 4;
    *target += 4;
#endif
}
#endif

/* A stretch, rising: `out` may lie over `in`, from below. Words where both are aligned. */
static void copy_bytes(const int8_t *in, int8_t *out, uint32_t n) {
#if defined(__GNUC__)
    const uintptr_t from = (uintptr_t)in, to = (uintptr_t)out;
    if (((from | to) & 3u) == 0 && to - from - 1u >= n - 1u) { /* not from above */
        const word *source = (const word *)(const void *)in;
        word *target = (word *)(void *)out;
        for (; n >= 16; n -= 16)
            copy_four(&source, &target);
        in = (const int8_t *)source;
        out = (int8_t *)target;
    }
#endif
    for (uint32_t i = 0; i < n; i++)
        out[i] = in[i];
}

static void copy_row(const int8_t *in, uint32_t in_step, int8_t *out, uint32_t out_step,
                     uint32_t n) {
    if (in_step == 1 && out_step == 1) {
        copy_bytes(in, out, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++, in += in_step, out += out_step)
        *out = *in;
}

void nano_copy(const void *params, const nano_io *io) {
    const nano_copy_params *const p = (const nano_copy_params *)params;
    const uint32_t *const n = p->shape, *const in_step = p->in_stride, *const step = p->out_stride;
    const int8_t *in0 = p->constant != NULL ? p->constant : (const int8_t *)io->in[0];
    int8_t *out0 = (int8_t *)io->out + p->out_offset;
    in0 += p->in_offset;
    for (uint32_t i0 = 0; i0 < n[0]; i0++, in0 += in_step[0], out0 += step[0]) {
        const int8_t *in1 = in0;
        int8_t *out1 = out0;
        for (uint32_t i1 = 0; i1 < n[1]; i1++, in1 += in_step[1], out1 += step[1]) {
            const int8_t *in2 = in1;
            int8_t *out2 = out1;
            for (uint32_t i2 = 0; i2 < n[2]; i2++, in2 += in_step[2], out2 += step[2])
                copy_row(in2, in_step[3], out2, step[3], n[3]);
        }
    }
}
