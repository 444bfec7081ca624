/* RUN KAT: known answers with inputs from the operand buffer; the answer is SHA-384 of what the algorithm gives. */
#include "internal.h"

#define KEM_CIPHERTEXT 1088

static int answer(se1 *chip, const uint8_t *data, size_t n) {
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, data, n, chip->out));
  chip->out_n = SE1_HASH;
  return SE1_OK;
}

static int kat_cmac(se1 *chip) {
  uint8_t tag[16];
  if (chip->operand_n < SE1_KEY)
    return SE1_SW_DATA;
  TRY(chip->hal->aes(chip->ctx, SE1_AES_CMAC, chip->operand, NULL, chip->operand + SE1_KEY, chip->operand_n - SE1_KEY,
                     tag));
  return answer(chip, tag, sizeof tag);
}

static int kat_verify(se1 *chip, uint16_t algorithm, size_t public_n, size_t signature_n) {
  const uint8_t *signature = chip->operand + public_n, *message = signature + signature_n;
  if (chip->operand_n < public_n + signature_n)
    return SE1_SW_DATA;
  int result = chip->hal->verify(chip->ctx, algorithm, chip->operand, message,
                                 chip->operand_n - public_n - signature_n, signature);
  if (result == SE1_CUT)
    return result;
  uint8_t accepted = result == SE1_OK;
  return answer(chip, &accepted, 1);
}

static int kat_keygen(se1 *chip, uint16_t algorithm, size_t seed_n, size_t public_n) {
  uint8_t private[64];
  if (chip->operand_n != seed_n)
    return SE1_SW_DATA;
  TRY(chip->hal->keypair(chip->ctx, algorithm, chip->operand, private, chip->work));
  return answer(chip, chip->work, public_n);
}

static int kat_decaps(se1 *chip) {
  uint8_t secret[32];
  if (chip->operand_n != 64 + KEM_CIPHERTEXT)
    return SE1_SW_DATA;
  TRY(chip->hal->decaps(chip->ctx, chip->operand, chip->operand + 64, secret));
  return answer(chip, secret, sizeof secret);
}

int do_run_kat(se1 *chip, const se1_command *command) {
  switch (command->p1) {
  case SE1_KAT_AES_CMAC:
    return kat_cmac(chip);
  case SE1_KAT_SHA384:
    return answer(chip, chip->operand, chip->operand_n);
  case SE1_KAT_ECDSA_P384_VERIFY:
    return kat_verify(chip, SE1_ALG_P384, 97, 96);
  case SE1_KAT_MLDSA65_KEYGEN:
    return kat_keygen(chip, SE1_ALG_MLDSA65, 32, 1952);
  case SE1_KAT_MLDSA65_VERIFY:
    return kat_verify(chip, SE1_ALG_MLDSA65, 1952, 3309);
  case SE1_KAT_MLKEM768_DECAPS:
    return kat_decaps(chip);
  case SE1_KAT_MLKEM768_KEYGEN:
    return kat_keygen(chip, SE1_ALG_MLKEM768, 64, 1184);
  default:
    return SE1_SW_P1P2;
  }
}
