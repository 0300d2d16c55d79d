#pragma once

#include <cstdio>

#define ESP_LOG_STUB_(tag, ...) (std::fprintf(stderr, "%s: ", tag), std::fprintf(stderr, __VA_ARGS__), std::fputc('\n', stderr))
#define ESP_LOGE ESP_LOG_STUB_
#define ESP_LOGD ESP_LOG_STUB_
#define ESP_LOGCONFIG ESP_LOG_STUB_
