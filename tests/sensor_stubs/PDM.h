#include "Arduino.h"
struct PDMClass {
    int begin(int channels, int sampleRate);
    int available();
    int read(void *buffer, size_t size);
    void onReceive(void (*function)());
};
extern PDMClass PDM;
