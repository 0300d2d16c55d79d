/* machine.h - QEMU's mps2-an385: a Cortex-M3 (Arm DAI 0385). */
#ifndef MPS2_AN385_MACHINE_H
#define MPS2_AN385_MACHINE_H

#define MACHINE_NAME "mps2_an385"

#include "mps/mps2.h"

#endif
