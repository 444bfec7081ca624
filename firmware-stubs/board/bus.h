/* One call of a peripheral: begin it with its length, put its parts, end it with what comes back. */
#ifndef SE1_BOARD_BUS_H
#define SE1_BOARD_BUS_H

#include "../se1/se1.h"

enum {
  BUS_NVM_READ,
  BUS_NVM_WRITE,
  BUS_OTP_READ,
  BUS_OTP_SET,
  BUS_RANDOM,
  BUS_AES,
  BUS_DIGEST,
  BUS_KEYPAIR,
  BUS_SIGN,
  BUS_VERIFY,
  BUS_ENCAPS,
  BUS_DECAPS,
  BUS_SENSOR
};

void bus_open(void);
void bus_begin(uint8_t op, size_t n);
void bus_put(const void *data, size_t n);
int bus_end(void *first, size_t first_n, void *second, size_t second_n); /* the status; on SE1_OK both are filled */

extern const se1_hal board_hal;

#endif
