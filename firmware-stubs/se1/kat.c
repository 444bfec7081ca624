/* RUN KAT: known answers with inputs from the operand buffer; the answer is SHA-384 of what the algorithm gives. */
#include "internal.h"

#define KEM_CIPHERTEXT 1088
#define EC_PUBLIC 97
#define EC_SIGNATURE 96
#define DSA_PUBLIC 1952
#define DSA_SIGNATURE 3309

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

static int accepted(se1 *chip, int result) {
  uint8_t yes = result == SE1_OK;
  return result == SE1_CUT ? result : answer(chip, &yes, 1);
}

static int kat_ecdsa_verify(se1 *chip) {
  const uint8_t *signature = chip->operand + EC_PUBLIC, *message = signature + EC_SIGNATURE;
  if (chip->operand_n < EC_PUBLIC + EC_SIGNATURE)
    return SE1_SW_DATA;
  return accepted(chip, chip->hal->verify(chip->ctx, SE1_ALG_P384, chip->operand, NULL, 0, message,
                                          chip->operand_n - EC_PUBLIC - EC_SIGNATURE, signature));
}

static int kat_mldsa_verify(se1 *chip) {
  const uint8_t *signature = chip->operand + DSA_PUBLIC, *label = signature + DSA_SIGNATURE + 1;
  const size_t head = DSA_PUBLIC + DSA_SIGNATURE + 1;
  if (chip->operand_n < head || chip->operand_n - head < chip->operand[head - 1])
    return SE1_SW_DATA;
  const size_t label_n = chip->operand[head - 1];
  return accepted(chip, chip->hal->verify(chip->ctx, SE1_ALG_MLDSA65, chip->operand, label, label_n, label + label_n,
                                          chip->operand_n - head - label_n, signature));
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
    return kat_ecdsa_verify(chip);
  case SE1_KAT_MLDSA65_KEYGEN:
    return kat_keygen(chip, SE1_ALG_MLDSA65, 32, DSA_PUBLIC);
  case SE1_KAT_MLDSA65_VERIFY:
    return kat_mldsa_verify(chip);
  case SE1_KAT_MLKEM768_DECAPS:
    return kat_decaps(chip);
  case SE1_KAT_MLKEM768_KEYGEN:
    return kat_keygen(chip, SE1_ALG_MLKEM768, 64, 1184);
  default:
    return SE1_SW_P1P2;
  }
}
