/* se1 on QEMU's RISC-V board `virt`: APDUs over the UART (16550), each with its length u16 in front.
   An empty frame resets the chip; it answers with its ATR. A chip that does not answer says nothing. */
#include "bus.h"

#define UART ((volatile uint8_t *)0x10000000u)
#define PLIC ((volatile uint32_t *)0x0C000000u)
#define DATA 0
#define INTERRUPTS 1
#define FIFO 2
#define LINE_STATUS 5
#define RECEIVED 0x01
#define ROOM 0x20
#define UART_INTERRUPT 10
#define PLIC_ENABLE (0x2000 / 4)
#define PLIC_THRESHOLD (0x200000 / 4)
#define PLIC_CLAIM (0x200004 / 4)
#define EXTERNAL_INTERRUPT (1u << 11)

static const uint8_t atr[] = SE1_ATR;
static se1 chip;
static uint8_t command[SE1_FRAME], reply[SE1_FRAME + 2];

void board_main(void);

/* The interrupt only wakes the core; it is never taken. */
static void uart_open(void) {
  UART[FIFO] = 7;
  UART[INTERRUPTS] = 1;
  PLIC[UART_INTERRUPT] = 1;
  PLIC[PLIC_ENABLE] = 1u << UART_INTERRUPT;
  PLIC[PLIC_THRESHOLD] = 0;
  __asm__ volatile("csrw mie, %0" ::"r"(EXTERNAL_INTERRUPT));
}

static uint8_t receive(void) {
  while (!(UART[LINE_STATUS] & RECEIVED)) {
    __asm__ volatile("wfi");
    uint32_t interrupt = PLIC[PLIC_CLAIM];
    if (interrupt)
      PLIC[PLIC_CLAIM] = interrupt;
  }
  return UART[DATA];
}

static void send(uint8_t byte) {
  while (!(UART[LINE_STATUS] & ROOM)) {
  }
  UART[DATA] = byte;
}

static void send_frame(const uint8_t *data, size_t n) {
  send((uint8_t)(n >> 8));
  send((uint8_t)n);
  while (n--)
    send(*data++);
}

/* A frame too long for any command is read to its end and given on cut short: the ROM refuses its length. */
static size_t receive_frame(void) {
  size_t n = (size_t)receive() << 8;
  n |= receive();
  for (size_t i = 0; i < n; i++) {
    uint8_t byte = receive();
    if (i < sizeof command)
      command[i] = byte;
  }
  return n;
}

void board_main(void) {
  uart_open(); /* first: who has seen a call on the bus knows that the UART listens */
  bus_open();
  se1_power_on(&chip, &board_hal, NULL);
  for (;;) {
    size_t n = receive_frame();
    if (n == 0) {
      se1_power_on(&chip, &board_hal, NULL);
      if (!chip.dead)
        send_frame(atr, sizeof atr);
      continue;
    }
    n = se1_apdu(&chip, command, n, reply, sizeof reply);
    if (n)
      send_frame(reply, n);
  }
}
