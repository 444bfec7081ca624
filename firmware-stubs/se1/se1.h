/* The simulated secure IC `se1`: its test-and-personalisation ROM. One context per chip; the HAL is its only way out. */
#ifndef SE1_H
#define SE1_H

#include <stddef.h>
#include <stdint.h>

#include "se1_commands.h"

#define SE1_OK 0
#define SE1_FAIL 1 /* the peripheral failed: the command answers 6F00 */
#define SE1_CUT 2  /* power is going: unwind, answer nothing */

enum { SE1_AES_ECB_ENCRYPT, SE1_AES_ECB_DECRYPT, SE1_AES_CBC_ENCRYPT, SE1_AES_CBC_DECRYPT, SE1_AES_CMAC };
enum { SE1_DIGEST_SHA384, SE1_DIGEST_HMAC };

/* Each returns SE1_OK, SE1_FAIL or SE1_CUT. `priv` of a post-quantum key is its seed. `label` is the context string
   of ML-DSA, NULL for the empty one; `sign` has labels of 8 bytes, `verify` of any length up to 255. ECDSA signs SHA-384
   of the message and knows no label. */
typedef struct se1_hal {
  int (*nvm_read)(void *ctx, uint32_t page, uint32_t count, uint8_t *out); /* so many pages of 64 bytes */
  int (*nvm_write)(void *ctx, uint32_t page, const uint8_t in[64]);
  int (*otp_read)(void *ctx, uint32_t bit); /* 0 or 1 */
  int (*otp_set)(void *ctx, uint32_t bit);
  int (*random)(void *ctx, int raw, uint8_t *out, size_t n); /* raw: the noise source itself */
  int (*aes)(void *ctx, int op, const uint8_t key[32], const uint8_t iv[16], const uint8_t *in, size_t n, uint8_t *out);
  int (*digest)(void *ctx, int op, const uint8_t *key, size_t kn, const uint8_t *in, size_t n, uint8_t out[48]);
  int (*keypair)(void *ctx, uint16_t alg, const uint8_t *seed, uint8_t *priv, uint8_t *pub); /* seed NULL: fresh */
  int (*sign)(void *ctx, uint16_t alg, const uint8_t *priv, const uint8_t label[8], const uint8_t *msg, size_t n,
              uint8_t *sig);
  int (*verify)(void *ctx, uint16_t alg, const uint8_t *pub, const uint8_t *label, size_t label_n, const uint8_t *msg,
                size_t n, const uint8_t *sig);
  int (*encaps)(void *ctx, const uint8_t *pub, uint8_t ct[1088], uint8_t ss[32]);
  int (*decaps)(void *ctx, const uint8_t *priv, const uint8_t ct[1088], uint8_t ss[32]);
  int (*sensor)(void *ctx); /* 1: light, a glitch, heat: something is done to the chip */
} se1_hal;

#define SE1_BLOCK 16
#define SE1_KEY 32
#define SE1_HASH 48
#define SE1_FRAME (SE1_PAYLOAD_2 + 64) /* a wrapped payload with chaining value and header */
#define SE1_SLOTS 3
#define SE1_KINDS 3
#define SE1_PAGE_DATA 60 /* of the 64 bytes of a page; the rest is CRC-32 */

typedef struct {
  uint8_t phase, kvn;
  uint8_t enc[SE1_KEY], mac[SE1_KEY], rmac[SE1_KEY], kek[SE1_KEY];
  uint8_t chain[SE1_BLOCK], host_cryptogram[SE1_BLOCK];
  uint32_t counter;
} se1_session;

typedef struct {
  uint8_t state, hash[SE1_HASH];
  uint16_t algorithm, attributes;
} se1_slot;

typedef struct {
  uint8_t state, started, window_bit, last_bit;
  uint16_t run, longest, ones, worst, in_window;
  uint32_t samples;
} se1_trng;

typedef struct {
  uint8_t open, bank, next_block;
  uint16_t tail;
  uint32_t length;
  uint8_t page[SE1_PAGE_DATA];
} se1_staging;

typedef struct {
  uint32_t length; /* 0: none */
  uint8_t bank;
} se1_container;

typedef struct se1 {
  const se1_hal *hal;
  void *ctx;
  uint8_t dead, life_cycle, transitions, payload_code;
  uint8_t has_uid, has_set[2], uid[16];
  uint8_t auth_failures, token_failures[3], rma_pending;
  uint8_t has_transport_key, transport_key[SE1_KEY];
  uint16_t alarms;
  uint32_t boots, cast_run, cast_failed;
  se1_session session;
  se1_slot slot[SE1_SLOTS];
  se1_container container[SE1_KINDS];
  se1_staging staging;
  se1_trng trng;
  size_t operand_n, result_n, out_n;
  uint8_t operand[SE1_LIMIT_OPERAND], result[SE1_LIMIT_RESULT];
  uint8_t frame[SE1_FRAME], in[SE1_FRAME], out[SE1_FRAME];
  uint8_t work[SE1_LIMIT_STORE];
} se1;

/* All that is seen from outside: a program that loads the library may have a crc32 of its own. */
#pragma GCC visibility push(default)
size_t se1_size(void); /* of a context, for whoever cannot see this header */
void se1_power_on(se1 *chip, const se1_hal *hal, void *ctx); /* cold reset: boot, repair, self-test */
void se1_reset(se1 *chip);                                   /* warm reset */
size_t se1_apdu(se1 *chip, const uint8_t *cmd, size_t n, uint8_t *reply, size_t max); /* 0: no answer */
#pragma GCC visibility pop

#endif
