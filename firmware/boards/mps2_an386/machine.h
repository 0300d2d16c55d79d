/* machine.h - QEMU's mps2-an386: a Cortex-M4 with FPU (Arm DAI 0386). */
#ifndef MPS2_AN386_MACHINE_H
#define MPS2_AN386_MACHINE_H

#define MACHINE_NAME "mps2_an386"

#include "mps/mps2.h"

#endif
