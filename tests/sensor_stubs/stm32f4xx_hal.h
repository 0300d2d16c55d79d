/* What a project's I2S microphone calls of STM32CubeF4's HAL, which Arduino.h of stm32duino brings. */
#ifndef STM32F4XX_HAL_STUB_H
#define STM32F4XX_HAL_STUB_H
#include <stdint.h>
typedef enum { HAL_OK, HAL_ERROR } HAL_StatusTypeDef;
typedef enum { DMA1_Stream3_IRQn = 14 } IRQn_Type;
typedef struct {
    uint32_t Pin, Mode, Pull, Speed, Alternate;
} GPIO_InitTypeDef;
typedef struct {
    uint32_t PLLI2SM, PLLI2SN, PLLI2SP, PLLI2SQ, PLLI2SR;
} RCC_PLLI2SInitTypeDef;
typedef struct {
    uint32_t PeriphClockSelection;
    RCC_PLLI2SInitTypeDef PLLI2S;
    uint32_t I2sApb1ClockSelection;
} RCC_PeriphCLKInitTypeDef;
typedef struct {
    uint32_t Channel, Direction, PeriphInc, MemInc, PeriphDataAlignment, MemDataAlignment, Mode,
        Priority;
} DMA_InitTypeDef;
typedef struct {
    uint32_t Mode, Standard, DataFormat, MCLKOutput, AudioFreq, CPOL, ClockSource;
} I2S_InitTypeDef;
typedef struct DMA_Stream_TypeDef DMA_Stream_TypeDef;
typedef struct SPI_TypeDef SPI_TypeDef;
typedef struct GPIO_TypeDef GPIO_TypeDef;
typedef struct {
    DMA_Stream_TypeDef *Instance;
    DMA_InitTypeDef Init;
    void *Parent;
} DMA_HandleTypeDef;
typedef struct {
    SPI_TypeDef *Instance;
    I2S_InitTypeDef Init;
    DMA_HandleTypeDef *hdmarx;
} I2S_HandleTypeDef;
extern DMA_Stream_TypeDef *const DMA1_Stream3;
extern SPI_TypeDef *const SPI2;
extern GPIO_TypeDef *const GPIOB;
enum { RCC_PERIPHCLK_I2S_APB1 = 1, RCC_I2SAPB1CLKSOURCE_PLLI2S = 0, RCC_PLLI2SP_DIV2 = 2 };
enum { DMA_CHANNEL_0, DMA_PERIPH_TO_MEMORY = 0, DMA_PINC_DISABLE = 0, DMA_MINC_ENABLE = 1024 };
enum { DMA_PDATAALIGN_HALFWORD = 2048, DMA_MDATAALIGN_HALFWORD = 8192, DMA_CIRCULAR = 256 };
enum { DMA_PRIORITY_HIGH = 131072, I2S_MODE_MASTER_RX = 768, I2S_STANDARD_PHILIPS = 0 };
enum { I2S_DATAFORMAT_24B = 3, I2S_MCLKOUTPUT_DISABLE = 0, I2S_CPOL_LOW = 0, I2S_CLOCK_PLL = 0 };
enum { GPIO_PIN_12 = 1 << 12, GPIO_PIN_13 = 1 << 13, GPIO_PIN_15 = 1 << 15, GPIO_MODE_AF_PP = 2 };
enum { GPIO_SPEED_FREQ_HIGH = 2, GPIO_AF5_SPI2 = 5 };
#define __HAL_RCC_GPIOB_CLK_ENABLE() ((void)0)
#define __HAL_RCC_SPI2_CLK_ENABLE() ((void)0)
#define __HAL_RCC_DMA1_CLK_ENABLE() ((void)0)
#define __HAL_LINKDMA(handle, field, dma) ((handle)->field = &(dma), (dma).Parent = (handle))
extern "C" {
HAL_StatusTypeDef HAL_RCCEx_PeriphCLKConfig(RCC_PeriphCLKInitTypeDef *);
HAL_StatusTypeDef HAL_DMA_Init(DMA_HandleTypeDef *);
void HAL_DMA_IRQHandler(DMA_HandleTypeDef *);
void HAL_NVIC_SetPriority(IRQn_Type, uint32_t, uint32_t);
void HAL_NVIC_EnableIRQ(IRQn_Type);
void HAL_GPIO_Init(GPIO_TypeDef *, GPIO_InitTypeDef *);
HAL_StatusTypeDef HAL_I2S_Init(I2S_HandleTypeDef *);
HAL_StatusTypeDef HAL_I2S_Receive_DMA(I2S_HandleTypeDef *, uint16_t *, uint16_t);
void HAL_I2S_RxHalfCpltCallback(I2S_HandleTypeDef *);
void HAL_I2S_RxCpltCallback(I2S_HandleTypeDef *);
}
#endif
