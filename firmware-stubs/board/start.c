/* Reset, and the three functions of string.h that the ROM and the compiler call. */
#include <stdint.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  uint8_t *out = to;
  const uint8_t *in = from;
  while (n--)
    *out++ = *in++;
  return to;
}

void *memset(void *to, int value, size_t n) {
  uint8_t *out = to;
  while (n--)
    *out++ = (uint8_t)value;
  return to;
}

int memcmp(const void *a, const void *b, size_t n) {
  const uint8_t *left = a, *right = b;
  for (; n; n--, left++, right++)
    if (*left != *right)
      return *left < *right ? -1 : 1;
  return 0;
}

__attribute__((naked, used, section(".text.start"))) void _start(void) {
  __asm__ volatile(
      "la sp, stack_top\n"
      "la t0, bss_start\n"
      "la t1, bss_end\n"
      "1: bgeu t0, t1, 2f\n"
      "sw zero, 0(t0)\n"
      "addi t0, t0, 4\n"
      "j 1b\n"
      "2: call board_main\n"
      "3: wfi\n"
      "j 3b\n");
}
