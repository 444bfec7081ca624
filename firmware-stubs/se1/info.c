/* What a die tells about itself in one reply. */
#include "internal.h"

#define CPLC_SIZE 42

uint32_t payload_size(const se1 *chip) {
  static const uint32_t sizes[4] = {SE1_PAYLOAD_0, SE1_PAYLOAD_1, SE1_PAYLOAD_2, SE1_PAYLOAD_2};
  return sizes[chip->payload_code];
}

int do_select(se1 *chip, const se1_command *command) {
  uint8_t fci[19] = {0x6F, 0x11, 0x84, 0x08};
  if (memcmp(command->data, se1_aid, sizeof se1_aid))
    return SE1_SW_NOT_FOUND;
  memcpy(fci + 4, se1_aid, sizeof se1_aid);
  memcpy(fci + 12, "\xA5\x05\x9F\x65\x02", 5);
  put16(fci + 17, payload_size(chip));
  reply_bytes(chip, fci, sizeof fci);
  return chip->life_cycle == SE1_STATE_CARD_LOCKED ? (int)SE1_SW_LOCKED_WARNING : SE1_OK;
}

int do_get_uid(se1 *chip, const se1_command *command) {
  (void)command;
  if (!chip->has_uid)
    return SE1_SW_NOT_FOUND;
  reply_bytes(chip, "\x45\x10", 2);
  reply_bytes(chip, chip->uid, sizeof chip->uid);
  return SE1_OK;
}

/* Card production life cycle (GlobalPlatform): fabricator, type and system first; the serial number is the UID's. */
int do_get_cplc(se1 *chip, const se1_command *command) {
  uint8_t cplc[CPLC_SIZE] = {0};
  (void)command;
  memcpy(cplc, chip->uid, 4);
  put16(cplc + 4, SE1_SCP_ID << 8 | SE1_SCP_I);
  put16(cplc + 8, SE1_FIRMWARE_VERSION);
  memcpy(cplc + 12, chip->uid + 11, 4);
  memcpy(cplc + 16, chip->uid + 8, 2);
  reply_bytes(chip, "\x9F\x7F\x2A", 3);
  reply_bytes(chip, cplc, sizeof cplc);
  return SE1_OK;
}

int do_get_key_info(se1 *chip, const se1_command *command) {
  uint8_t *out = chip->out;
  (void)command;
  out[0] = 0xE0;
  chip->out_n = 2;
  for (uint8_t index = 0; index < 2; index++)
    for (uint8_t key = 1; chip->has_set[index] && key <= 3; key++) {
      const uint8_t entry[6] = {0xC0, 0x04, key, (uint8_t)(SE1_KEYSET_TRANSPORT + index), 0x88, 0x20};
      reply_bytes(chip, entry, sizeof entry);
    }
  out[1] = (uint8_t)(chip->out_n - 2);
  return SE1_OK;
}

static uint8_t container_bits(const se1 *chip) {
  uint8_t bits = chip->staging.open ? 0x80 : 0;
  for (int kind = 0; kind < SE1_KINDS; kind++)
    if (chip->container[kind].length)
      bits |= (uint8_t)(1 << kind);
  return bits;
}

static uint8_t worst_token(const se1 *chip) {
  uint8_t worst = 0;
  for (int i = 0; i < 3; i++)
    if (chip->token_failures[i] > worst)
      worst = chip->token_failures[i];
  return worst;
}

int do_die_status(se1 *chip, const se1_command *command) {
  uint8_t status[24] = {1};
  (void)command;
  status[1] = chip->life_cycle;
  put32(status + 2, SE1_ROM_VERSION);
  put32(status + 6, SE1_FIRMWARE_VERSION);
  status[10] = chip->auth_failures;
  status[11] = worst_token(chip);
  status[12] = chip->transitions;
  for (int index = 0; index < SE1_SLOTS; index++)
    status[13 + index] = chip->slot[index].state;
  status[16] = container_bits(chip);
  status[17] = chip->session.phase == SE1_OPEN;
  put16(status + 18, chip->alarms);
  put32(status + 20, chip->boots);
  reply_bytes(chip, status, sizeof status);
  return SE1_OK;
}

int do_store_hash(se1 *chip, const se1_command *command) {
  uint8_t hash[SE1_HASH];
  (void)command;
  TRY(store_hash(chip, hash));
  reply_bytes(chip, hash, sizeof hash);
  return SE1_OK;
}

int do_slot_info(se1 *chip, const se1_command *command) {
  (void)command;
  chip->out_n = slot_entries(chip, chip->out);
  return SE1_OK;
}
