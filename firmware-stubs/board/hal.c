/* The HAL of the ROM over the bus: every call is one frame out and one back. */
#include "bus.h"

typedef struct {
  uint16_t algorithm, private_n, public_n, signature_n;
} sizes;

static const sizes *sizes_of(uint16_t algorithm) {
  static const sizes known[] = {
      {SE1_ALG_P384, 48, 97, 96}, {SE1_ALG_MLDSA65, 32, 1952, 3309}, {SE1_ALG_MLKEM768, 64, 1184, 0}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].algorithm == algorithm)
      return &known[i];
  return &known[0];
}

static void put_number(uint32_t value) {
  const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  bus_put(bytes, sizeof bytes);
}

static int nvm_read(void *ctx, uint32_t page, uint32_t count, uint8_t *out) {
  (void)ctx;
  bus_begin(BUS_NVM_READ, 4 + 4);
  put_number(page);
  put_number(count);
  return bus_end(out, 64 * (size_t)count, NULL, 0);
}

static int nvm_write(void *ctx, uint32_t page, const uint8_t in[64]) {
  (void)ctx;
  bus_begin(BUS_NVM_WRITE, 4 + 64);
  put_number(page);
  bus_put(in, 64);
  return bus_end(NULL, 0, NULL, 0);
}

static int otp_read(void *ctx, uint32_t bit) {
  uint8_t value = 0;
  (void)ctx;
  bus_begin(BUS_OTP_READ, 4);
  put_number(bit);
  return bus_end(&value, 1, NULL, 0) == SE1_OK && value;
}

static int otp_set(void *ctx, uint32_t bit) {
  (void)ctx;
  bus_begin(BUS_OTP_SET, 4);
  put_number(bit);
  return bus_end(NULL, 0, NULL, 0);
}

static int random_bytes(void *ctx, int raw, uint8_t *out, size_t n) {
  (void)ctx;
  bus_begin(BUS_RANDOM, 4 + 4);
  put_number((uint32_t)raw);
  put_number((uint32_t)n);
  return bus_end(out, n, NULL, 0);
}

static int aes(void *ctx, int op, const uint8_t key[32], const uint8_t iv[16], const uint8_t *in, size_t n,
               uint8_t *out) {
  const size_t iv_n = iv ? 16 : 0;
  (void)ctx;
  bus_begin(BUS_AES, 4 + 32 + 4 + iv_n + n);
  put_number((uint32_t)op);
  bus_put(key, 32);
  put_number((uint32_t)iv_n);
  bus_put(iv, iv_n);
  bus_put(in, n);
  return bus_end(out, op == SE1_AES_CMAC ? 16 : n, NULL, 0);
}

static int digest(void *ctx, int op, const uint8_t *key, size_t kn, const uint8_t *in, size_t n, uint8_t out[48]) {
  (void)ctx;
  bus_begin(BUS_DIGEST, 4 + 4 + kn + n);
  put_number((uint32_t)op);
  put_number((uint32_t)kn);
  bus_put(key, kn);
  bus_put(in, n);
  return bus_end(out, 48, NULL, 0);
}

static int keypair(void *ctx, uint16_t alg, const uint8_t *seed, uint8_t *priv, uint8_t *pub) {
  const sizes *size = sizes_of(alg);
  const size_t seed_n = seed ? size->private_n : 0;
  (void)ctx;
  bus_begin(BUS_KEYPAIR, 4 + seed_n);
  put_number(alg);
  bus_put(seed, seed_n);
  return bus_end(priv, size->private_n, pub, size->public_n);
}

static int sign(void *ctx, uint16_t alg, const uint8_t *priv, const uint8_t label[8], const uint8_t *msg, size_t n,
                uint8_t *sig) {
  const sizes *size = sizes_of(alg);
  const size_t label_n = label ? 8 : 0;
  (void)ctx;
  bus_begin(BUS_SIGN, 4 + size->private_n + 4 + label_n + n);
  put_number(alg);
  bus_put(priv, size->private_n);
  put_number((uint32_t)label_n);
  bus_put(label, label_n);
  bus_put(msg, n);
  return bus_end(sig, size->signature_n, NULL, 0);
}

static int verify(void *ctx, uint16_t alg, const uint8_t *pub, const uint8_t *label, size_t label_n,
                  const uint8_t *msg, size_t n, const uint8_t *sig) {
  const sizes *size = sizes_of(alg);
  (void)ctx;
  bus_begin(BUS_VERIFY, 4 + size->public_n + size->signature_n + 4 + label_n + n);
  put_number(alg);
  bus_put(pub, size->public_n);
  bus_put(sig, size->signature_n);
  put_number((uint32_t)label_n);
  bus_put(label, label_n);
  bus_put(msg, n);
  return bus_end(NULL, 0, NULL, 0);
}

static int encaps(void *ctx, const uint8_t *pub, uint8_t ct[1088], uint8_t ss[32]) {
  (void)ctx;
  bus_begin(BUS_ENCAPS, 1184);
  bus_put(pub, 1184);
  return bus_end(ct, 1088, ss, 32);
}

static int decaps(void *ctx, const uint8_t *priv, const uint8_t ct[1088], uint8_t ss[32]) {
  (void)ctx;
  bus_begin(BUS_DECAPS, 64 + 1088);
  bus_put(priv, 64);
  bus_put(ct, 1088);
  return bus_end(ss, 32, NULL, 0);
}

static int sensor(void *ctx) {
  uint8_t value = 0;
  (void)ctx;
  bus_begin(BUS_SENSOR, 0);
  return bus_end(&value, 1, NULL, 0) == SE1_OK && value;
}

const se1_hal board_hal = {nvm_read, nvm_write, otp_read, otp_set, random_bytes, aes,
                           digest,   keypair,   sign,     verify,  encaps,       decaps, sensor};
