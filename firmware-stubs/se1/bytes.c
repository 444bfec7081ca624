/* Integers, checks and comparisons. */
#include "internal.h"

void put16(uint8_t *out, uint32_t value) {
  out[0] = (uint8_t)(value >> 8);
  out[1] = (uint8_t)value;
}

void put24(uint8_t *out, uint32_t value) {
  out[0] = (uint8_t)(value >> 16);
  put16(out + 1, value);
}

void put32(uint8_t *out, uint32_t value) {
  put16(out, value >> 16);
  put16(out + 2, value);
}

uint16_t get16(const uint8_t *in) { return (uint16_t)(in[0] << 8 | in[1]); }

uint32_t get24(const uint8_t *in) { return (uint32_t)in[0] << 16 | get16(in + 1); }

uint32_t get32(const uint8_t *in) { return (uint32_t)get16(in) << 16 | get16(in + 2); }

uint8_t crc8(const uint8_t *data, size_t n) {
  uint8_t crc = 0;
  while (n--) {
    crc ^= *data++;
    for (int bit = 0; bit < 8; bit++)
      crc = (uint8_t)(crc << 1 ^ (crc & 0x80 ? 0x07 : 0));
  }
  return crc;
}

uint32_t crc32(const uint8_t *data, size_t n) {
  static const uint32_t nibble[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                      0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                      0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  uint32_t crc = 0xFFFFFFFFu;
  while (n--) {
    crc ^= *data++;
    crc = crc >> 4 ^ nibble[crc & 15];
    crc = crc >> 4 ^ nibble[crc & 15];
  }
  return ~crc;
}

/* What is secret goes with this: a memset of bytes that nobody reads again is left out by compilers. */
void wipe(void *data, size_t n) {
  volatile uint8_t *at = data;
  while (n--)
    *at++ = 0;
}

int differ(const uint8_t *a, const uint8_t *b, size_t n) {
  uint8_t sum = 0;
  while (n--)
    sum |= (uint8_t)(*a++ ^ *b++);
  return sum != 0;
}

void reply_bytes(se1 *chip, const void *data, size_t n) {
  memcpy(chip->out + chip->out_n, data, n);
  chip->out_n += n;
}
