/* What a die says of itself under a signature or a KEM tag. */
#include "internal.h"

#define PROOF_SIZE 138
#define ATTESTATION_HEAD 173
#define CIPHERTEXT 1088
#define FINGERPRINT_AT 67 /* in the IDENTITY object */

size_t slot_entries(const se1 *chip, uint8_t *out) {
  for (size_t index = 0; index < SE1_SLOTS; index++) {
    const se1_slot *slot = &chip->slot[index];
    uint8_t *entry = out + 54 * index;
    entry[0] = (uint8_t)(index + 1);
    put16(entry + 1, slot->algorithm);
    entry[3] = slot->state;
    put16(entry + 4, slot->attributes);
    memcpy(entry + 6, slot->hash, SE1_HASH);
  }
  return 54 * SE1_SLOTS;
}

/* h over header and public key of every VALID slot, in order. */
static int keys_hash(se1 *chip, uint8_t out[SE1_HASH]) {
  uint8_t *at = chip->work;
  for (uint32_t index = 0; index < SE1_SLOTS; index++) {
    const se1_slot_kind *kind = &se1_slot_kinds[index];
    if (chip->slot[index].state != SE1_SLOT_STATE_VALID)
      continue;
    at[0] = SE1_OBJECT_PUBLIC_KEY;
    at[1] = (uint8_t)(index + 1);
    put16(at + 2, kind->algorithm);
    put24(at + 4, kind->public_n);
    TRY(area_read(chip, AREA_PUBLIC(index), 0, at + 7, kind->public_n));
    at += 7 + kind->public_n;
  }
  return chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, chip->work, (size_t)(at - chip->work), out);
}

static int proof_message(se1 *chip, const char label[8], const uint8_t nonce[32], uint8_t out[PROOF_SIZE]) {
  uint32_t page, offset, length;
  memcpy(out, label, 8);
  out[8] = 1;
  out[9] = chip->life_cycle;
  memcpy(out + 10, chip->uid, 16);
  memcpy(out + 26, nonce, 32);
  TRY(keys_hash(chip, out + 58));
  TRY(store_object(chip, SE1_OBJECT_IDENTITY, 0, &page, &offset, &length));
  return area_read(chip, page, offset + FINGERPRINT_AT, out + 106, 32);
}

static int attestation(se1 *chip, const uint8_t nonce[32], uint8_t *out) {
  uint8_t tokens = chip->token_failures[0];
  for (int i = 1; i < 3; i++)
    if (chip->token_failures[i] > tokens)
      tokens = chip->token_failures[i];
  memcpy(out, "PQP1-ATT", 8);
  out[8] = 1;
  out[9] = chip->life_cycle;
  memcpy(out + 10, chip->uid, 16);
  memcpy(out + 26, nonce, 32);
  put32(out + 58, SE1_ROM_VERSION);
  put32(out + 62, SE1_FIRMWARE_VERSION);
  TRY(rom_hash(chip, out + 66));
  TRY(store_hash(chip, out + 114));
  out[162] = chip->session.kvn;
  out[163] = chip->auth_failures;
  out[164] = tokens;
  out[165] = chip->transitions;
  put32(out + 166, chip->boots);
  put16(out + 170, chip->alarms);
  out[172] = SE1_SLOTS;
  slot_entries(chip, out + ATTESTATION_HEAD);
  return SE1_OK;
}

static int private_key(se1 *chip, uint32_t index, uint8_t out[64]) {
  if (chip->slot[index].state != SE1_SLOT_STATE_VALID)
    return SE1_SW_NOT_FOUND;
  return area_read(chip, AREA_PRIVATE(index), 0, out, se1_slot_kinds[index].private_n);
}

static int sign(se1 *chip, uint32_t index, const char label[8], const uint8_t *message, size_t n, uint8_t *signature) {
  uint8_t private[64];
  TRY(private_key(chip, index, private));
  int result = chip->hal->sign(chip->ctx, se1_slot_kinds[index].algorithm, private, (const uint8_t *)label, message, n,
                               signature);
  wipe(private, sizeof private);
  return result;
}

int do_internal_authenticate(se1 *chip, const se1_command *command) {
  uint8_t message[PROOF_SIZE], length[3];
  uint32_t index = command->p2 - 1u;
  size_t n = ATTESTATION_HEAD + 54 * SE1_SLOTS;
  if (command->p1 > 1 || index >= SE1_SLOTS || !se1_slot_kinds[index].signature_n)
    return SE1_SW_P1P2;
  if (chip->slot[index].state != SE1_SLOT_STATE_VALID)
    return SE1_SW_NOT_FOUND;
  TRY(cast(chip, se1_slot_kinds[index].cast));
  chip->result_n = 0;
  if (command->p1) {
    TRY(attestation(chip, command->data, chip->result));
    TRY(sign(chip, index, "PQP1-ATT", chip->result, n, chip->result + n));
  } else {
    n = 0;
    TRY(proof_message(chip, "PQP1-POP", command->data, message));
    TRY(sign(chip, index, "PQP1-POP", message, sizeof message, chip->result));
  }
  chip->result_n = n + se1_slot_kinds[index].signature_n;
  put24(length, (uint32_t)chip->result_n);
  reply_bytes(chip, length, sizeof length);
  return SE1_OK;
}

static int kem_tag(se1 *chip, uint32_t index, const uint8_t message[PROOF_SIZE], uint8_t tag[SE1_HASH]) {
  uint8_t private[64], secret[32];
  TRY(private_key(chip, index, private));
  int result = chip->hal->decaps(chip->ctx, private, chip->operand, secret);
  if (result == SE1_OK)
    result = chip->hal->digest(chip->ctx, SE1_DIGEST_HMAC, secret, sizeof secret, message, PROOF_SIZE, tag);
  wipe(private, sizeof private);
  wipe(secret, sizeof secret);
  return result;
}

/* Answers the same way whether the ciphertext was good or not: decapsulation rejects implicitly. */
int do_general_authenticate(se1 *chip, const se1_command *command) {
  uint8_t message[PROOF_SIZE], tag[SE1_HASH];
  uint32_t index = command->p2 - 1u;
  if (index >= SE1_SLOTS || se1_slot_kinds[index].signature_n)
    return SE1_SW_P1P2;
  if (chip->slot[index].state == SE1_SLOT_STATE_VALID && chip->operand_n != CIPHERTEXT)
    return SE1_SW_DATA;
  TRY(cast(chip, se1_slot_kinds[index].cast));
  if (chip->slot[index].state != SE1_SLOT_STATE_VALID)
    return SE1_SW_NOT_FOUND;
  TRY(proof_message(chip, "PQP1-KEM", command->data, message));
  TRY(kem_tag(chip, index, message, tag));
  reply_bytes(chip, tag, sizeof tag);
  return SE1_OK;
}
