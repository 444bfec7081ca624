/* Key slots: generation, import, pairwise test, wiping. */
#include "internal.h"

#define SIGNING (SE1_ATTRIBUTE_NO_EXPORT | SE1_ATTRIBUTE_SIGN | SE1_ATTRIBUTE_FROZEN_WHEN_SECURED)
#define DECAPSULATING (SE1_ATTRIBUTE_NO_EXPORT | SE1_ATTRIBUTE_DECAPSULATE | SE1_ATTRIBUTE_FROZEN_WHEN_SECURED)
#define SIGNATURE_AT 4096 /* in `work`, behind the new public key */

const se1_slot_kind se1_slot_kinds[SE1_SLOTS] = {
    {SE1_ALG_P384, SIGNING, 48, 97, 96, TEST_ECDSA},
    {SE1_ALG_MLDSA65, SIGNING, 32, 1952, 3309, TEST_MLDSA},
    {SE1_ALG_MLKEM768, DECAPSULATING, 64, 1184, 0, TEST_MLKEM},
};

int slots_personalised(const se1 *chip) {
  static const uint8_t slots[] = SE1_PERSONALISED_SLOTS;
  for (size_t i = 0; i < sizeof slots; i++)
    if (chip->slot[slots[i] - 1].state != SE1_SLOT_STATE_VALID)
      return 0;
  return 1;
}

static int slot_wipe(se1 *chip, uint32_t index) {
  static const se1_slot wiped = {.state = SE1_SLOT_STATE_WIPED};
  TRY(slot_save(chip, index, &wiped));
  TRY(area_wipe(chip, AREA_PRIVATE(index), PRIVATE_MOST));
  return area_wipe(chip, AREA_PUBLIC(index), se1_slot_kinds[index].public_n);
}

int slots_wipe(se1 *chip) {
  for (uint32_t index = 0; index < SE1_SLOTS; index++)
    if (chip->slot[index].state != SE1_SLOT_STATE_EMPTY)
      TRY(slot_wipe(chip, index));
  return SE1_OK;
}

static int pair_signs(se1 *chip, const se1_slot_kind *kind, const uint8_t *private) {
  static const uint8_t message[] = "se1 pairwise test";
  uint8_t *signature = chip->work + SIGNATURE_AT;
  TRY(chip->hal->sign(chip->ctx, kind->algorithm, private, NULL, message, sizeof message, signature));
  int result = chip->hal->verify(chip->ctx, kind->algorithm, chip->work, NULL, 0, message, sizeof message, signature);
  return result == SE1_FAIL ? (int)SE1_SW_PAIRWISE_FAILED : result;
}

static int pair_agrees(se1 *chip, const uint8_t *private) {
  uint8_t sent[32], received[32], *ciphertext = chip->work + SIGNATURE_AT;
  TRY(chip->hal->encaps(chip->ctx, chip->work, ciphertext, sent));
  int result = chip->hal->decaps(chip->ctx, private, ciphertext, received);
  if (result == SE1_OK && differ(sent, received, sizeof sent))
    result = (int)SE1_SW_PAIRWISE_FAILED;
  wipe(sent, sizeof sent);
  wipe(received, sizeof received);
  return result;
}

/* Empty or half written; or written and not yet vouched for by credentials. */
static int slot_writable(const se1 *chip, uint32_t index) {
  uint8_t state = chip->slot[index].state;
  return state == SE1_SLOT_STATE_EMPTY || state == SE1_SLOT_STATE_PARTIAL ||
         (state == SE1_SLOT_STATE_VALID && !chip->container[SE1_CONTAINER_CREDENTIALS - 1].length);
}

static int request_check(const se1 *chip, const se1_command *command, uint16_t origin) {
  uint32_t index = command->p1 - 1u;
  if (index >= SE1_SLOTS)
    return SE1_SW_P1P2;
  if (get16(command->data) != se1_slot_kinds[index].algorithm ||
      get16(command->data + 2) != (se1_slot_kinds[index].attributes | origin))
    return SE1_SW_DATA;
  return slot_writable(chip, index) ? SE1_OK : (int)SE1_SW_CONDITIONS;
}

/* PARTIAL, then the key: a cut from here on is seen at the next boot. */
static int slot_fill(se1 *chip, uint32_t index, const uint8_t *private) {
  const se1_slot_kind *kind = &se1_slot_kinds[index];
  static const se1_slot partial = {.state = SE1_SLOT_STATE_PARTIAL};
  TRY(slot_save(chip, index, &partial));
  TRY(area_write(chip, AREA_PRIVATE(index), private, kind->private_n));
  TRY(area_write(chip, AREA_PUBLIC(index), chip->work, kind->public_n));
  return kind->signature_n ? pair_signs(chip, kind, private) : pair_agrees(chip, private);
}

static int slot_commit(se1 *chip, uint32_t index, uint16_t attributes) {
  const se1_slot_kind *kind = &se1_slot_kinds[index];
  se1_slot valid = {.state = SE1_SLOT_STATE_VALID, .algorithm = kind->algorithm, .attributes = attributes};
  uint8_t reply[4];
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, chip->work, kind->public_n, valid.hash));
  TRY(slot_save(chip, index, &valid));
  reply[0] = SE1_SLOT_STATE_VALID;
  put24(reply + 1, kind->public_n);
  reply_bytes(chip, reply, sizeof reply);
  return SE1_OK;
}

/* A failed pair leaves nothing behind, and its slot is of no more use. */
static int slot_install(se1 *chip, uint32_t index, const uint8_t *private, uint16_t attributes) {
  int result = slot_fill(chip, index, private);
  if (result == SE1_SW_PAIRWISE_FAILED)
    TRY(slot_wipe(chip, index));
  TRY(result);
  return slot_commit(chip, index, attributes);
}

int do_generate_key_pair(se1 *chip, const se1_command *command) {
  uint8_t private[PRIVATE_MOST];
  uint32_t index = command->p1 - 1u;
  TRY(request_check(chip, command, SE1_ATTRIBUTE_ON_CHIP));
  if (chip->trng.state != SE1_RNG_SOUND)
    return SE1_SW_RNG_FAILED;
  TRY(cast(chip, se1_slot_kinds[index].cast));
  TRY(chip->hal->keypair(chip->ctx, se1_slot_kinds[index].algorithm, NULL, private, chip->work));
  int result = slot_install(chip, index, private, get16(command->data + 2));
  wipe(private, sizeof private);
  return result;
}

/* The wrapped key in the operand: algorithm, attributes, seed, zeros up to a multiple of 8 that RFC 5649 adds. */
static int import_unwrap(se1 *chip, const se1_command *command, const se1_slot_kind *kind, uint8_t *seed) {
  uint8_t key[8 + PRIVATE_MOST];
  size_t n = 4u + kind->private_n;
  TRY(kwp_unwrap(chip, chip->session.kek, chip->operand, chip->operand_n, key, n));
  int result = differ(key, command->data, 4) ? (int)SE1_SW_DATA : SE1_OK;
  memcpy(seed, key + 4, kind->private_n);
  wipe(key, sizeof key);
  return result;
}

static int import(se1 *chip, const se1_command *command, uint8_t seed[PRIVATE_MOST], uint8_t private[PRIVATE_MOST]) {
  const uint32_t index = command->p1 - 1u;
  const se1_slot_kind *kind = &se1_slot_kinds[index];
  uint8_t hash[SE1_HASH];
  TRY(import_unwrap(chip, command, kind, seed));
  TRY(chip->hal->keypair(chip->ctx, kind->algorithm, seed, private, chip->work));
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, chip->work, kind->public_n, hash));
  if (differ(hash, command->data + 4, 8))
    return SE1_SW_DATA;
  return slot_install(chip, index, private, get16(command->data + 2));
}

int do_import_key(se1 *chip, const se1_command *command) {
  uint8_t seed[PRIVATE_MOST], private[PRIVATE_MOST];
  TRY(request_check(chip, command, SE1_ATTRIBUTE_IMPORTED));
  TRY(cast(chip, se1_slot_kinds[command->p1 - 1u].cast));
  int result = import(chip, command, seed, private);
  wipe(seed, sizeof seed);
  wipe(private, sizeof private);
  return result;
}
