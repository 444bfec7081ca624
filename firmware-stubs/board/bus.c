/* The way to the peripherals: calls and answers in two pipes on the host, reached by semihosting.
   Call: op, length u32, payload. Answer: status, length u32, payload. Big-endian, as all of se1. */
#include "bus.h"

#define SYS_OPEN 0x01
#define SYS_WRITE 0x05
#define SYS_READ 0x06
#define OPEN_READ 0
#define OPEN_WRITE 4

static uintptr_t calls, answers;

/* RISC-V semihosting: the two instructions around the breakpoint say that it is one. */
__attribute__((noinline)) static intptr_t host(uintptr_t number, const void *arguments) {
  register uintptr_t a0 __asm__("a0") = number;
  register uintptr_t a1 __asm__("a1") = (uintptr_t)arguments;
  __asm__ volatile(
      ".option push\n"
      ".option norvc\n"
      ".balign 16\n"
      "slli x0, x0, 0x1f\n"
      "ebreak\n"
      "srai x0, x0, 7\n"
      ".option pop\n"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return (intptr_t)a0;
}

static uintptr_t opened(const char *name, size_t n, uintptr_t mode) {
  const uintptr_t arguments[3] = {(uintptr_t)name, mode, n};
  return (uintptr_t)host(SYS_OPEN, arguments);
}

void bus_open(void) {
  calls = opened("calls", 5, OPEN_WRITE);
  answers = opened("answers", 7, OPEN_READ);
}

/* Both answer how many bytes they did not move. */
static void transfer(uintptr_t number, uintptr_t handle, uint8_t *data, size_t n) {
  while (n) {
    const uintptr_t arguments[3] = {handle, (uintptr_t)data, n};
    size_t left = (size_t)host(number, arguments);
    if (left > n)
      continue;
    data += n - left;
    n = left;
  }
}

void bus_put(const void *data, size_t n) {
  union {
    const void *given;
    uint8_t *moved;
  } pointer = {data};
  transfer(SYS_WRITE, calls, pointer.moved, n);
}

void bus_begin(uint8_t op, size_t n) {
  const uint8_t head[5] = {op, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
  bus_put(head, sizeof head);
}

static void get(uint8_t *data, size_t n) { transfer(SYS_READ, answers, data, n); }

int bus_end(void *first, size_t first_n, void *second, size_t second_n) {
  uint8_t head[5];
  get(head, sizeof head);
  if (head[0] == SE1_OK) {
    get(first, first_n);
    get(second, second_n);
  }
  return head[0];
}
