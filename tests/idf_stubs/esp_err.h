#pragma once

typedef int esp_err_t;

#define ESP_OK 0

void esp_stub_check(esp_err_t error);
#define ESP_ERROR_CHECK(x) esp_stub_check(x)
