/* Life cycle: OTP bits that are only ever set.
   Bits 0-3 the GlobalPlatform code, 4-6 CARD_LOCKED, 7 terminated, 8 RMA, 16-39 transitions between the test states,
   40-41 payload size. Bits of a chain are set in order, so only the first one not set can be half set (weak). */
#include "internal.h"

#define OTP_TERMINATED 7
#define OTP_RMA 8
#define OTP_TRANSITION 16
#define OTP_PAYLOAD 40
#define WEAK_READS 4 /* a weak bit reads at random: ask this often before believing in 0 */

static int otp(se1 *chip, uint32_t bit) {
  for (int i = 0; i < WEAK_READS; i++)
    if (chip->hal->otp_read(chip->ctx, bit) == 1)
      return 1;
  return 0;
}

static int otp_set(se1 *chip, uint32_t bit) {
  int result = chip->hal->otp_set(chip->ctx, bit);
  return result == SE1_FAIL ? (int)SE1_SW_NVM_FAILURE : result;
}

/* Count the bits set from `first` on, and program them again in case one is weak. */
static int otp_chain(se1 *chip, uint32_t first, uint32_t limit, uint32_t *count) {
  for (*count = 0; *count < limit && otp(chip, first + *count); ++*count)
    TRY(otp_set(chip, first + *count));
  return SE1_OK;
}

static uint8_t test_state(const se1 *chip) {
  if (chip->transitions == 0)
    return SE1_STATE_RAW;
  return chip->transitions & 1 ? SE1_STATE_TEST_UNLOCKED : SE1_STATE_TEST_LOCKED;
}

static uint8_t code_state(const se1 *chip, uint32_t bits) {
  if (bits == 0)
    return test_state(chip);
  if (bits < 3)
    return SE1_STATE_OP_READY;
  if (bits == 3)
    return SE1_STATE_INITIALIZED;
  return bits < 7 ? SE1_STATE_SECURED : SE1_STATE_CARD_LOCKED;
}

int lifecycle_initialized(se1 *chip) {
  TRY(otp_set(chip, 1));
  TRY(otp_set(chip, 2));
  chip->life_cycle = SE1_STATE_INITIALIZED;
  return SE1_OK;
}

int lifecycle_terminate(se1 *chip) {
  TRY(otp_set(chip, OTP_TERMINATED));
  chip->life_cycle = SE1_STATE_TERMINATED;
  return SE1_OK;
}

/* Wipe everything that a die carries for its owner, then open it. The flag that leads here is committed before. */
static int rma_enter(se1 *chip) {
  static const se1_container none[SE1_KINDS];
  TRY(slots_wipe(chip));
  for (int index = 0; index < 2; index++) {
    uint8_t absent = 0;
    TRY(cell_write(chip, CELL_SET_30 + (uint32_t)index, &absent, 1));
    TRY(area_wipe(chip, AREA_SET((uint32_t)index), SE1_TRANSPORT_SIZE));
    chip->has_set[index] = 0;
  }
  TRY(pages_clear(chip, AREA_BANK(0), SE1_BANKS * SE1_BANK_PAGES)); /* also what was staged or replaced */
  TRY(directory_save(chip, none));
  TRY(otp_set(chip, OTP_RMA));
  chip->life_cycle = SE1_STATE_RMA;
  return SE1_OK;
}

int lifecycle_boot(se1 *chip) {
  uint32_t bits, transitions, terminated, rma;
  TRY(otp_chain(chip, OTP_TRANSITION, SE1_LIMIT_TEST_TRANSITIONS, &transitions));
  TRY(otp_chain(chip, 0, 7, &bits));
  TRY(otp_chain(chip, OTP_RMA, 1, &rma));
  TRY(otp_chain(chip, OTP_TERMINATED, 1, &terminated));
  chip->transitions = (uint8_t)transitions;
  chip->payload_code = (uint8_t)(otp(chip, OTP_PAYLOAD) | otp(chip, OTP_PAYLOAD + 1) << 1);
  chip->life_cycle = code_state(chip, bits);
  if (chip->life_cycle == SE1_STATE_OP_READY && chip->container[SE1_CONTAINER_IDENTITY - 1].length)
    TRY(lifecycle_initialized(chip));
  if (rma)
    chip->life_cycle = SE1_STATE_RMA;
  else if (chip->rma_pending)
    TRY(rma_enter(chip));
  if (terminated)
    chip->life_cycle = SE1_STATE_TERMINATED;
  return SE1_OK;
}

static int card_lock(se1 *chip) {
  for (uint32_t bit = 4; bit < 7; bit++)
    TRY(otp_set(chip, bit));
  chip->life_cycle = SE1_STATE_CARD_LOCKED;
  return SE1_OK;
}

/* Counted once it is programmed: a bit that was left out would end the count at the next boot. */
static int transition(se1 *chip, uint8_t target) {
  TRY(otp_set(chip, OTP_TRANSITION + chip->transitions));
  chip->transitions++;
  chip->life_cycle = target;
  return SE1_OK;
}

static int leave_test(se1 *chip, uint8_t target) {
  if (!chip->has_uid || !chip->has_set[0])
    return SE1_SW_CONDITIONS;
  if (target == SE1_STATE_TEST_LOCKED && chip->transitions < SE1_LIMIT_TEST_TRANSITIONS)
    return transition(chip, target);
  if (target != SE1_STATE_OP_READY)
    return SE1_SW_CONDITIONS;
  TRY(otp_set(chip, 0));
  chip->life_cycle = target;
  return SE1_OK;
}

static int secure_die(se1 *chip) {
  if (!chip->container[SE1_CONTAINER_IDENTITY - 1].length || !chip->container[SE1_CONTAINER_CREDENTIALS - 1].length ||
      !slots_personalised(chip) || chip->has_set[0] || !chip->has_set[1] || chip->session.kvn != SE1_KEYSET_ISSUER)
    return SE1_SW_CONDITIONS;
  TRY(otp_set(chip, 3));
  chip->life_cycle = SE1_STATE_SECURED;
  return SE1_OK;
}

int do_set_status(se1 *chip, const se1_command *command) {
  uint8_t from = chip->life_cycle, to = command->p2;
  int plain = from == SE1_STATE_TEST_UNLOCKED || from == SE1_STATE_RMA;
  if (!plain && chip->session.phase != SE1_OPEN)
    return SE1_SW_SECURITY;
  if (from == SE1_STATE_TEST_UNLOCKED)
    return leave_test(chip, to);
  if (to == SE1_STATE_TERMINATED)
    return lifecycle_terminate(chip);
  if (from == SE1_STATE_INITIALIZED && to == SE1_STATE_SECURED)
    return secure_die(chip);
  if (from == SE1_STATE_SECURED && to == SE1_STATE_CARD_LOCKED)
    return card_lock(chip);
  return SE1_SW_CONDITIONS;
}

static int token_compute(se1 *chip, const char label[8], const uint8_t *token, uint8_t out[SE1_HASH]) {
  uint8_t message[8 + 16 + 32];
  memcpy(message, label, 8);
  memcpy(message + 8, chip->uid, 16);
  memcpy(message + 24, token, 32);
  return chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, message, sizeof message, out);
}

/* Hash the token as its kind asks, and fetch the hash that it must have. */
static int token_hashes(se1 *chip, uint8_t kind, const uint8_t *token, uint8_t got[SE1_HASH], uint8_t want[SE1_HASH]) {
  uint32_t page, offset, length;
  if (kind == SE1_TOKEN_RAW) {
    memcpy(want, se1_raw_token_hash, SE1_HASH);
    return chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, token, 32, got);
  }
  if (kind == SE1_TOKEN_TEST) {
    TRY(area_read(chip, AREA_SET(0u), SE1_SET_SIZE, want, SE1_HASH));
    return token_compute(chip, "PQP1-TST", token, got);
  }
  TRY(store_object(chip, SE1_OBJECT_IDENTITY, 0, &page, &offset, &length));
  TRY(area_read(chip, page, offset + 99, want, SE1_HASH));
  return token_compute(chip, "PQP1-RMA", token, got);
}

static int token_fits(const se1 *chip, uint8_t kind) {
  if (kind == SE1_TOKEN_RAW)
    return chip->life_cycle == SE1_STATE_RAW;
  if (kind == SE1_TOKEN_TEST)
    return chip->life_cycle == SE1_STATE_TEST_LOCKED && chip->transitions < SE1_LIMIT_TEST_TRANSITIONS;
  return chip->life_cycle == SE1_STATE_SECURED || chip->life_cycle == SE1_STATE_CARD_LOCKED;
}

static int token_opens(se1 *chip, uint8_t kind) {
  uint8_t pending = 1;
  if (kind == SE1_TOKEN_RMA) {
    TRY(cell_write(chip, CELL_RMA, &pending, 1));
    return rma_enter(chip);
  }
  return transition(chip, SE1_STATE_TEST_UNLOCKED);
}

int do_verify_token(se1 *chip, const se1_command *command) {
  uint8_t kind = command->p2, got[SE1_HASH], want[SE1_HASH];
  if (kind < SE1_TOKEN_RAW || kind > SE1_TOKEN_RMA)
    return SE1_SW_P1P2;
  if (!token_fits(chip, kind))
    return SE1_SW_CONDITIONS;
  uint8_t *failures = &chip->token_failures[kind - 1];
  if (*failures >= SE1_LIMIT_TOKEN_FAILURES)
    return SE1_SW_BLOCKED;
  TRY(token_hashes(chip, kind, command->data, got, want));
  ++*failures;
  TRY(counters_save(chip));
  if (differ(got, want, SE1_HASH))
    return (int)(SE1_SW_TOKEN_WRONG + SE1_LIMIT_TOKEN_FAILURES - *failures);
  *failures = 0;
  TRY(counters_save(chip));
  return token_opens(chip, kind);
}
