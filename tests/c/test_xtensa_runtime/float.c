/* What is under test. */
#include "../../../firmware/boards/xtensa/float.c"
