#include "Arduino.h"
struct TwoWire {
    void begin();
    void beginTransmission(uint8_t address);
    size_t write(int byte);
    uint8_t endTransmission(bool stop = true);
    uint8_t requestFrom(uint8_t address, uint8_t size);
    int read();
};
extern TwoWire Wire;
