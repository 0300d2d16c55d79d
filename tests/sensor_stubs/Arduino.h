#ifndef ARDUINO_STUB_H
#define ARDUINO_STUB_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "stm32f4xx_hal.h"
#define A0 14
#define TIM3 ((void *)0)
enum TimerFormat_t { TICK_FORMAT, MICROSEC_FORMAT, HERTZ_FORMAT };
struct Serial_ {
    void begin(unsigned long) {}
    void print(const char *text) { fputs(text, stdout); }
};
extern Serial_ Serial;
struct HardwareTimer {
    explicit HardwareTimer(void *timer);
    void setOverflow(uint32_t value, TimerFormat_t format);
    void attachInterrupt(void (*callback)());
    void resume();
};
unsigned long micros();
void delay(unsigned long milliseconds);
int analogRead(uint32_t pin);
void analogReadResolution(int bits);
void setup();
void loop();
#endif
