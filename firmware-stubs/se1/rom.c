/* What the mask set holds: application, keys it trusts, and the hash that attestation gives for all of it. */
#include "internal.h"
#include "se1_rom.h"

const uint8_t se1_aid[8] = SE1_AID;
const uint8_t se1_raw_token_hash[SE1_HASH] = SE1_RAW_TOKEN_HASH;
const uint8_t se1_plant_key_hashes[2][SE1_HASH] = {SE1_PLANT_KEY_HASH_1, SE1_PLANT_KEY_HASH_2};

/* The hash of what is in the mask, as it is read back. */
int rom_hash(se1 *chip, uint8_t out[SE1_HASH]) {
  uint8_t image[8 + 4 + 4 + 3 * SE1_HASH];
  memcpy(image, se1_aid, 8);
  put32(image + 8, SE1_ROM_VERSION);
  put32(image + 12, SE1_FIRMWARE_VERSION);
  memcpy(image + 16, se1_raw_token_hash, SE1_HASH);
  memcpy(image + 16 + SE1_HASH, se1_plant_key_hashes, 2 * SE1_HASH);
  return chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, image, sizeof image, out);
}
