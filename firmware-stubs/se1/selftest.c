/* Self-tests of the algorithms (FIPS 140-3: each before its first use, once per boot), SELF TEST, RUN BIST. */
#include "internal.h"
#include "se1_rom.h"

#define TESTS 9
#define SECRET 32

static const uint8_t message[] = SE1_TEST_MESSAGE;

/* Each returns SE1_OK if sound, SE1_CUT, or anything else if broken. */
typedef int (*test)(se1 *chip);

static int test_aes(se1 *chip) {
  static const uint8_t key[] = SE1_TEST_AES_KEY, want[] = SE1_TEST_AES_TAG;
  uint8_t tag[16];
  TRY(chip->hal->aes(chip->ctx, SE1_AES_CMAC, key, NULL, message, sizeof message, tag));
  return differ(tag, want, sizeof want);
}

static int test_sha(se1 *chip) {
  static const uint8_t want[] = SE1_TEST_SHA384;
  uint8_t hash[SE1_HASH];
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, message, sizeof message, hash));
  return differ(hash, want, sizeof want);
}

static int test_drbg(se1 *chip) {
  uint8_t first[32], second[32];
  TRY(chip->hal->random(chip->ctx, 0, first, sizeof first));
  TRY(chip->hal->random(chip->ctx, 0, second, sizeof second));
  return !differ(first, second, sizeof first);
}

static int test_trng(se1 *chip) { return chip->trng.state != SE1_RNG_SOUND; }

/* A good signature must pass, and a spoilt one must not. */
static int test_verify(se1 *chip, uint16_t algorithm, const uint8_t *public, const uint8_t *signature, size_t n) {
  TRY(chip->hal->verify(chip->ctx, algorithm, public, NULL, 0, message, sizeof message, signature));
  memcpy(chip->work, signature, n);
  chip->work[n / 2] ^= 1;
  int result = chip->hal->verify(chip->ctx, algorithm, public, NULL, 0, message, sizeof message, chip->work);
  return result == SE1_CUT ? SE1_CUT : result == SE1_OK;
}

static int test_ecdsa(se1 *chip) {
  static const uint8_t public[] = SE1_TEST_ECDSA_PUBLIC, signature[] = SE1_TEST_ECDSA_SIGNATURE;
  return test_verify(chip, SE1_ALG_P384, public, signature, sizeof signature);
}

static int test_mldsa(se1 *chip) {
  static const uint8_t public[] = SE1_TEST_MLDSA_PUBLIC, signature[] = SE1_TEST_MLDSA_SIGNATURE;
  return test_verify(chip, SE1_ALG_MLDSA65, public, signature, sizeof signature);
}

static int test_mlkem(se1 *chip) {
  static const uint8_t seed[] = SE1_TEST_MLKEM_SEED, ciphertext[] = SE1_TEST_MLKEM_CIPHERTEXT;
  static const uint8_t want[] = SE1_TEST_MLKEM_SECRET;
  uint8_t secret[SECRET];
  TRY(chip->hal->decaps(chip->ctx, seed, ciphertext, secret));
  return differ(secret, want, sizeof want);
}

static int test_rom(se1 *chip) {
  static const uint8_t want[] = SE1_ROM_HASH;
  uint8_t hash[SE1_HASH];
  TRY(rom_hash(chip, hash));
  return differ(hash, want, sizeof hash);
}

/* Every page that a record names is sound. */
static int test_nvm(se1 *chip) {
  for (int kind = 0; kind < SE1_KINDS; kind++) {
    const se1_container *container = &chip->container[kind];
    TRY(area_read(chip, AREA_BANK(container->bank), 0, chip->work, container->length));
  }
  for (uint32_t index = 0; index < 2; index++)
    if (chip->has_set[index])
      TRY(area_read(chip, AREA_SET(index), 0, chip->work, index ? SE1_SET_SIZE : SE1_TRANSPORT_SIZE));
  memset(chip->work, 0, SE1_TRANSPORT_SIZE);
  for (uint32_t index = 0; index < SE1_SLOTS; index++)
    if (chip->slot[index].state == SE1_SLOT_STATE_VALID)
      TRY(area_read(chip, AREA_PUBLIC(index), 0, chip->work, se1_slot_kinds[index].public_n));
  return (chip->alarms & SE1_ALARM_NVM) != 0;
}

static const test tests[TESTS] = {test_aes,   test_sha,   test_drbg, test_trng, test_ecdsa,
                                  test_mldsa, test_mlkem, test_rom,  test_nvm};

static int run_one(se1 *chip, uint32_t index) {
  const uint32_t bit = 1u << index;
  int result = tests[index](chip);
  if (result == SE1_CUT)
    return result;
  chip->cast_run |= bit;
  if (result != SE1_OK) {
    chip->cast_failed |= bit;
    chip->alarms |= SE1_ALARM_CAST;
  }
  return SE1_OK;
}

int cast(se1 *chip, uint32_t bit) {
  for (uint32_t index = 0; index < TESTS; index++)
    if (bit == 1u << index && !(chip->cast_run & bit))
      TRY(run_one(chip, index));
  return chip->cast_failed & bit ? (int)SE1_SW_CAST_FAILED : SE1_OK;
}

int cast_symmetric(se1 *chip) {
  for (uint32_t index = 0; 1u << index <= TEST_DRBG; index++)
    TRY(run_one(chip, index));
  return SE1_OK;
}

static int report(se1 *chip, uint32_t run, uint32_t failed) {
  uint8_t result[8];
  put32(result, run);
  put32(result + 4, failed);
  reply_bytes(chip, result, sizeof result);
  return SE1_OK;
}

/* All of them again, whatever ran before. */
int do_self_test(se1 *chip, const se1_command *command) {
  (void)command;
  for (uint32_t index = 0; index < TESTS; index++)
    TRY(run_one(chip, index));
  return report(chip, chip->cast_run, chip->cast_failed);
}

/* Hardware only: write and read back a scratch page in two patterns, hash the ROM. */
int do_run_bist(se1 *chip, const se1_command *command) {
  uint8_t written[SE1_PAGE_DATA], read[SE1_PAGE_DATA];
  uint32_t failed = 0;
  (void)command;
  for (int pattern = 0; pattern < 2; pattern++) {
    memset(written, pattern ? 0x55 : 0xAA, sizeof written);
    TRY(area_write(chip, AREA_SCRATCH, written, sizeof written));
    int result = area_read(chip, AREA_SCRATCH, 0, read, sizeof read);
    if (result == SE1_CUT)
      return result;
    if (result != SE1_OK || differ(written, read, sizeof read))
      failed |= TEST_NVM;
  }
  int result = test_rom(chip);
  if (result == SE1_CUT)
    return result;
  if (result != SE1_OK)
    failed |= TEST_ROM;
  return report(chip, TEST_NVM | TEST_ROM, failed);
}
