typedef enum { GPIO_NUM_21 = 21, GPIO_NUM_22, GPIO_NUM_25 = 25, GPIO_NUM_26, GPIO_NUM_33 = 33 } gpio_num_t;
