/* registers.h - the few registers of the STM32F405 that the port touches (ST RM0090). */
#ifndef STM32F405_REGISTERS_H
#define STM32F405_REGISTERS_H

#include "cortex_m/core.h"

/* Reset and clock control */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_CR_HSION BIT(0)
#define RCC_CR_HSIRDY BIT(1)
#define RCC_CR_HSEON BIT(16)
#define RCC_CR_HSERDY BIT(17)
#define RCC_CR_PLLON BIT(24)
#define RCC_CR_PLLRDY BIT(25)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_PLLCFGR_N 6 /* shift of the VCO's factor */
#define RCC_PLLCFGR_HSE BIT(22)
#define RCC_PLLCFGR_Q 24 /* shift of the 48 MHz divider; P at 16 stays 0: divide by 2 */
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_CFGR_SW_PLL UINT32_C(2)
#define RCC_CFGR_SWS (UINT32_C(3) << 2)
#define RCC_CFGR_SWS_PLL (UINT32_C(2) << 2)
#define RCC_CFGR_APB1_DIV4 (UINT32_C(5) << 10)
#define RCC_CFGR_APB2_DIV2 (UINT32_C(4) << 13)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_AHB1ENR_GPIOA BIT(0)
#define RCC_AHB1ENR_GPIOB BIT(1)
#define RCC_AHB1ENR_DMA2 BIT(22)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB1ENR_TIM2 BIT(0)
#define RCC_APB1ENR_TIM3 BIT(1)
#define RCC_APB1ENR_TIM5 BIT(3)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define RCC_APB2ENR_USART1 BIT(4)
#define RCC_APB2ENR_ADC1 BIT(8)

/* Flash interface */
#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY UINT32_C(7)
#define FLASH_ACR_PREFETCH BIT(8)
#define FLASH_ACR_ICACHE BIT(9)
#define FLASH_ACR_DCACHE BIT(10)
/* Its controller, by address: flash.c reaches it through access.h. */
#define FLASH_ACR_ADDRESS UINT32_C(0x40023C00)
#define FLASH_ACR_ICACHE_RESET BIT(11)
#define FLASH_ACR_DCACHE_RESET BIT(12)
#define FLASH_KEYR_ADDRESS UINT32_C(0x40023C04)
#define FLASH_KEY1 UINT32_C(0x45670123)
#define FLASH_KEY2 UINT32_C(0xCDEF89AB)
#define FLASH_SR_ADDRESS UINT32_C(0x40023C0C)
#define FLASH_SR_EOP BIT(0)
#define FLASH_SR_ERRORS                                                                            \
    (BIT(1) | UINT32_C(15) << 4) /* operation, protection, alignment, size, order */
#define FLASH_SR_BUSY BIT(16)
#define FLASH_CR_ADDRESS UINT32_C(0x40023C10)
#define FLASH_CR_PROGRAM BIT(0)
#define FLASH_CR_SECTOR_ERASE BIT(1)
#define FLASH_CR_SECTOR 3                 /* shift of the sector's number */
#define FLASH_CR_WORDS (UINT32_C(2) << 8) /* 32 bits at once: 2.7 V and more */
#define FLASH_CR_START BIT(16)
#define FLASH_CR_LOCK BIT(31)

/* Device identity: revision in the upper half; what stays clocked for the debugger */
#define DBGMCU_IDCODE REGISTER(0xE0042000u)
#define DBGMCU_CR REGISTER(0xE0042004u)
#define DBGMCU_CR_SLEEP BIT(0)

/* Port A */
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_PUPDR REGISTER(0x4002000Cu)
#define GPIOA_AFRH REGISTER(0x40020024u)

/* Port B: a pin is set by its bit, cleared by the one 16 further */
#define GPIOB_MODER REGISTER(0x40020400u)
#define GPIOB_BSRR REGISTER(0x40020418u)

/* Analog-to-digital converter 1: its inputs 0..7 are PA0..PA7 */
#define ADC1_CR1 REGISTER(0x40012004u)
#define ADC_CR1_SCAN BIT(8)
#define ADC1_CR2 REGISTER(0x40012008u)
#define ADC_CR2_ADON BIT(0)
#define ADC_CR2_DMA BIT(8)
#define ADC_CR2_DDS BIT(9) /* requests go on behind the last transfer */
#define ADC_CR2_ALIGN BIT(11)
#define ADC_CR2_TIM3 (UINT32_C(8) << 24 | UINT32_C(1) << 28) /* its rising TRGO starts a scan */
#define ADC1_SMPR2 REGISTER(0x40012010u)
#define ADC1_SQR1 REGISTER(0x4001202Cu)
#define ADC_SQR1_L 20 /* shift of the number of conversions, less one */
#define ADC1_SQR3 REGISTER(0x40012034u)
#define ADC1_DR_ADDRESS UINT32_C(0x4001204C)
#define ADC_CCR REGISTER(0x40012304u)
#define ADC_CCR_DIV4 (UINT32_C(1) << 16)

/* DMA 2, stream 0: channel 0 is ADC1's */
#define DMA2_LIFCR REGISTER(0x40026408u)
#define DMA2_LIFCR_STREAM0 UINT32_C(0x3D)
#define DMA2_S0CR REGISTER(0x40026410u)
#define DMA_SCR_EN BIT(0)
#define DMA_SCR_CIRC BIT(8)
#define DMA_SCR_MINC BIT(10)
#define DMA_SCR_HALVES (UINT32_C(1) << 11 | UINT32_C(1) << 13) /* both sides 16 bits wide */
#define DMA2_S0NDTR REGISTER(0x40026414u)
#define DMA2_S0PAR REGISTER(0x40026418u)
#define DMA2_S0M0AR REGISTER(0x4002641Cu)

/* Serial line */
#define USART1_SR REGISTER(0x40011000u)
#define USART_SR_ORE BIT(3)
#define USART_SR_RXNE BIT(5)
#define USART_SR_TC BIT(6)
#define USART_SR_TXE BIT(7)
#define USART1_DR REGISTER(0x40011004u)
#define USART1_BRR REGISTER(0x40011008u)
#define USART1_INTERRUPT 37u
#define USART1_CR1 REGISTER(0x4001100Cu)
#define USART_CR1_RE BIT(2)
#define USART_CR1_TE BIT(3)
#define USART_CR1_RXNEIE BIT(5)
#define USART_CR1_UE BIT(13)

/* 32-bit timers; after reset they count up to 0xFFFFFFFF */
#define TIM2_BASE 0x40000000u
#define TIM5_BASE 0x40000C00u
#define TIM_CR1(base) REGISTER((base) + 0x00u)
#define TIM_CR1_CEN BIT(0)
#define TIM_EGR(base) REGISTER((base) + 0x14u)
#define TIM_EGR_UG BIT(0)
#define TIM_CNT(base) REGISTER((base) + 0x24u)
#define TIM_PSC(base) REGISTER((base) + 0x28u)

/* A 16-bit one, whose every overflow can start the converter */
#define TIM3_BASE 0x40000400u
#define TIM_CR2(base) REGISTER((base) + 0x04u)
#define TIM_CR2_UPDATE_OUT (UINT32_C(2) << 4)
#define TIM_ARR(base) REGISTER((base) + 0x2Cu)

#endif
