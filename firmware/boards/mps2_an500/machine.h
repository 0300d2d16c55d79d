/* machine.h - QEMU's mps2-an500: a Cortex-M7 with FPU (Arm DAI 0500). */
#ifndef MPS2_AN500_MACHINE_H
#define MPS2_AN500_MACHINE_H

#define MACHINE_NAME "mps2_an500"

#include "mps/mps2.h"

#endif
