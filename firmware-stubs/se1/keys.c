/* Key sets of the secure channel: derivation, unwrapping, PUT KEY, DELETE KEY, and how transport keys come in. */
#include "internal.h"

#define WRAPPED_KEY 40
#define KEY_FIELD 47 /* 88 29 20 <wrapped 40> 03 <check value 3> */
#define TRANSPORT_WRAPPED 152
#define KEM_PUBLIC 1184
#define KEM_CIPHERTEXT 1088

int set_index(uint8_t kvn) { return kvn == SE1_KEYSET_TRANSPORT ? 0 : kvn == SE1_KEYSET_ISSUER ? 1 : -1; }

/* SP 800-108 in counter mode with AES-CMAC, in SCP03's order. */
int kdf(se1 *chip, const uint8_t key[32], const uint8_t label[12], const uint8_t *context, size_t n, uint32_t bits,
        uint8_t *out) {
  uint8_t input[12 + 4 + 32];
  memcpy(input, label, 12);
  input[12] = 0;
  put16(input + 13, bits);
  memcpy(input + 16, context, n);
  for (uint32_t i = 0; i < bits / 128; i++) {
    input[15] = (uint8_t)(i + 1);
    TRY(chip->hal->aes(chip->ctx, SE1_AES_CMAC, key, NULL, input, 16 + n, out + 16 * i));
  }
  return SE1_OK;
}

/* W^-1 of RFC 3394 over n/8 - 1 semiblocks; in place in `r`, the integrity value in `a`. */
static int unwrap_rounds(se1 *chip, const uint8_t key[32], uint8_t a[8], uint8_t *r, uint32_t blocks) {
  uint8_t in[16], out[16];
  for (uint32_t t = 6 * blocks; t > 0; t--) {
    uint8_t *semiblock = r + 8 * ((t - 1) % blocks);
    memcpy(in, a, 8);
    memcpy(in + 8, semiblock, 8);
    in[7] ^= (uint8_t)t;
    in[6] ^= (uint8_t)(t >> 8);
    TRY(chip->hal->aes(chip->ctx, SE1_AES_ECB_DECRYPT, key, NULL, in, 16, out));
    memcpy(a, out, 8);
    memcpy(semiblock, out + 8, 8);
  }
  return SE1_OK;
}

/* RFC 5649; `want` is the length that must come out, more than 8; `out` has room for the next multiple of 8. */
int kwp_unwrap(se1 *chip, const uint8_t key[32], const uint8_t *in, size_t n, uint8_t *out, size_t want) {
  static const uint8_t zeros[8];
  uint8_t a[8], expected[8] = {0xA6, 0x59, 0x59, 0xA6};
  size_t padded = (want + 7) / 8 * 8;
  if (n != padded + 8)
    return SE1_SW_DATA;
  put32(expected + 4, (uint32_t)want);
  memcpy(a, in, 8);
  memcpy(out, in + 8, padded);
  TRY(unwrap_rounds(chip, key, a, out, (uint32_t)(padded / 8)));
  if (!(differ(a, expected, 8) | differ(out + want, zeros, padded - want)))
    return SE1_OK;
  wipe(out, padded);
  return SE1_SW_DATA;
}

static int check_value(se1 *chip, const uint8_t key[32], uint8_t out[3]) {
  uint8_t block[16], result[16];
  memset(block, 0x01, sizeof block);
  TRY(chip->hal->aes(chip->ctx, SE1_AES_ECB_ENCRYPT, key, NULL, block, 16, result));
  memcpy(out, result, 3);
  return SE1_OK;
}

/* Write a key set, its marker last, and answer with the check values. */
static int set_write(se1 *chip, int index, uint8_t kvn, const uint8_t *keys, size_t n) {
  uint8_t valid = 1, checks[10];
  checks[0] = kvn;
  for (size_t i = 0; i < 3; i++)
    TRY(check_value(chip, keys + 32 * i, checks + 1 + 3 * i));
  TRY(area_write(chip, AREA_SET((uint32_t)index), keys, n));
  TRY(cell_write(chip, CELL_SET_30 + (uint32_t)index, &valid, 1));
  chip->has_set[index] = 1;
  reply_bytes(chip, checks, sizeof checks);
  return SE1_OK;
}

static int unwrap_key(se1 *chip, const uint8_t *field, uint8_t key[32]) {
  uint8_t check[3];
  if (field[0] != 0x88 || field[1] != 0x29 || field[2] != 0x20 || field[43] != 0x03)
    return SE1_SW_DATA;
  TRY(kwp_unwrap(chip, chip->session.kek, field + 3, WRAPPED_KEY, key, SE1_KEY));
  TRY(check_value(chip, key, check));
  return differ(check, field + 44, 3) ? (int)SE1_SW_DATA : SE1_OK;
}

static int put_key(se1 *chip, const uint8_t *fields, uint8_t keys[SE1_SET_SIZE]) {
  for (size_t i = 0; i < 3; i++)
    TRY(unwrap_key(chip, fields + KEY_FIELD * i, keys + 32 * i));
  return set_write(chip, 1, SE1_KEYSET_ISSUER, keys, SE1_SET_SIZE);
}

int do_put_key(se1 *chip, const se1_command *command) {
  uint8_t keys[SE1_SET_SIZE];
  if (command->data[0] != SE1_KEYSET_ISSUER)
    return SE1_SW_DATA;
  if (chip->has_set[1])
    return SE1_SW_CONDITIONS;
  int result = put_key(chip, command->data + 1, keys);
  wipe(keys, sizeof keys);
  return result;
}

int do_delete_key(se1 *chip, const se1_command *command) {
  const uint8_t none = 0, *data = command->data;
  int index = set_index(data[2]);
  if (data[0] != 0xD2 || data[1] != 1 || index < 0 || !chip->has_set[index])
    return SE1_SW_NOT_FOUND;
  if (data[2] == chip->session.kvn)
    return SE1_SW_CONDITIONS;
  TRY(cell_write(chip, CELL_SET_30 + (uint32_t)index, &none, 1));
  chip->has_set[index] = 0;
  TRY(area_wipe(chip, AREA_SET((uint32_t)index), index ? SE1_SET_SIZE : SE1_TRANSPORT_SIZE));
  reply_bytes(chip, &none, 1);
  return SE1_OK;
}

int do_set_uid(se1 *chip, const se1_command *command) {
  uint8_t cell[17];
  if (chip->has_uid)
    return SE1_SW_CONDITIONS;
  if (crc8(command->data, 15) != command->data[15])
    return SE1_SW_DATA;
  cell[0] = 1;
  memcpy(cell + 1, command->data, 16);
  TRY(cell_write(chip, CELL_UID, cell, sizeof cell));
  memcpy(chip->uid, command->data, 16);
  chip->has_uid = 1;
  return SE1_OK;
}

static int hmac(se1 *chip, const uint8_t *key, size_t key_n, const uint8_t *in, size_t n, uint8_t out[SE1_HASH]) {
  return chip->hal->digest(chip->ctx, SE1_DIGEST_HMAC, key, key_n, in, n, out);
}

/* kw = HKDF-SHA384(secret, salt h(pk || ct), info "PQP0-KW" || UID, 32); pk || ct lie in `work`. */
static int transport_key(se1 *chip, const uint8_t secret[32]) {
  uint8_t salt[SE1_HASH], prk[SE1_HASH], block[SE1_HASH], info[7 + 16 + 1];
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, chip->work, KEM_PUBLIC + KEM_CIPHERTEXT, salt));
  TRY(hmac(chip, salt, sizeof salt, secret, 32, prk));
  memcpy(info, "PQP0-KW", 7);
  memcpy(info + 7, chip->uid, 16);
  info[23] = 1;
  TRY(hmac(chip, prk, sizeof prk, info, sizeof info, block));
  memcpy(chip->transport_key, block, 32);
  wipe(prk, sizeof prk);
  wipe(block, sizeof block);
  chip->has_transport_key = 1;
  return SE1_OK;
}

static int plant_key_known(se1 *chip) {
  uint8_t hash[SE1_HASH];
  if (chip->operand_n != KEM_PUBLIC)
    return SE1_SW_DATA;
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, chip->operand, KEM_PUBLIC, hash));
  for (int i = 0; i < 2; i++)
    if (!differ(hash, se1_plant_key_hashes[i], SE1_HASH))
      return SE1_OK;
  return SE1_SW_DATA;
}

static int encapsulated(se1 *chip, uint8_t secret[32]) {
  TRY(chip->hal->encaps(chip->ctx, chip->operand, chip->result, secret));
  chip->result_n = KEM_CIPHERTEXT;
  memcpy(chip->work, chip->operand, KEM_PUBLIC);
  memcpy(chip->work + KEM_PUBLIC, chip->result, KEM_CIPHERTEXT);
  return transport_key(chip, secret);
}

int do_kem_transport(se1 *chip, const se1_command *command) {
  uint8_t secret[32], length[3];
  (void)command;
  if (!chip->has_uid || chip->has_set[0])
    return SE1_SW_CONDITIONS;
  TRY(plant_key_known(chip));
  if (chip->trng.state != SE1_RNG_SOUND)
    return SE1_SW_RNG_FAILED;
  TRY(cast(chip, TEST_MLKEM));
  int result = encapsulated(chip, secret);
  wipe(secret, sizeof secret);
  TRY(result);
  put24(length, KEM_CIPHERTEXT);
  reply_bytes(chip, length, 3);
  return SE1_OK;
}

int do_put_transport_keys(se1 *chip, const se1_command *command) {
  uint8_t keys[SE1_TRANSPORT_SIZE];
  if (!chip->has_transport_key || !chip->has_uid || chip->has_set[0])
    return SE1_SW_CONDITIONS;
  if (command->data[0] != SE1_KEYSET_TRANSPORT)
    return SE1_SW_DATA;
  TRY(kwp_unwrap(chip, chip->transport_key, command->data + 1, TRANSPORT_WRAPPED, keys, sizeof keys));
  int result = set_write(chip, 0, SE1_KEYSET_TRANSPORT, keys, sizeof keys);
  wipe(keys, sizeof keys);
  TRY(result);
  wipe(chip->transport_key, sizeof chip->transport_key);
  chip->has_transport_key = 0;
  return SE1_OK;
}
