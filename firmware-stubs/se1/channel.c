/* SCP03, the card's side: AES-256, S16, i = 61, level 33 (GlobalPlatform SCP03). */
#include "internal.h"

#define CONSTANT_CARD 0x00
#define CONSTANT_HOST 0x01
#define CONSTANT_ENC 0x04
#define CONSTANT_MAC 0x06
#define CONSTANT_RMAC 0x07

static int cmac(se1 *chip, const uint8_t key[32], const uint8_t *in, size_t n, uint8_t out[16]) {
  return chip->hal->aes(chip->ctx, SE1_AES_CMAC, key, NULL, in, n, out);
}

/* What a session staged dies with it. */
void channel_close(se1 *chip, uint8_t phase) {
  memset(&chip->staging, 0, sizeof chip->staging);
  memset(&chip->session, 0, sizeof chip->session);
  chip->session.phase = phase;
}

static int derive(se1 *chip, const uint8_t key[32], uint8_t constant, const uint8_t context[32], uint32_t bits,
                  uint8_t *out) {
  uint8_t label[12] = {0};
  label[11] = constant;
  return kdf(chip, key, label, context, 32, bits, out);
}

static int session_keys(se1 *chip, int index, const uint8_t context[32], uint8_t keys[SE1_SET_SIZE]) {
  static const uint8_t kek_label[12] = {'P', 'Q', 'P', '1', '-', 'S', 'E', 'S', 'S', 'K', 'E', 'K'};
  se1_session *session = &chip->session;
  TRY(area_read(chip, AREA_SET((uint32_t)index), 0, keys, SE1_SET_SIZE));
  TRY(derive(chip, keys, CONSTANT_ENC, context, 256, session->enc));
  TRY(derive(chip, keys + 32, CONSTANT_MAC, context, 256, session->mac));
  TRY(derive(chip, keys + 32, CONSTANT_RMAC, context, 256, session->rmac));
  return kdf(chip, keys + 64, kek_label, context, 32, 256, session->kek);
}

static int open_keys(se1 *chip, int index, const uint8_t context[32]) {
  uint8_t keys[SE1_SET_SIZE];
  int result = session_keys(chip, index, context, keys);
  wipe(keys, sizeof keys);
  return result;
}

int do_initialize_update(se1 *chip, const se1_command *command) {
  int index = set_index(command->p1);
  uint8_t context[32], cryptogram[16];
  const uint8_t parameters[3] = {command->p1, SE1_SCP_ID, SE1_SCP_I};
  if (index < 0 || !chip->has_set[index])
    return SE1_SW_NOT_FOUND;
  TRY(cast(chip, TEST_AES));
  memcpy(context, command->data, 16);
  TRY(trng_random(chip, context + 16, 16));
  TRY(open_keys(chip, index, context));
  TRY(derive(chip, chip->session.mac, CONSTANT_CARD, context, 128, cryptogram));
  TRY(derive(chip, chip->session.mac, CONSTANT_HOST, context, 128, chip->session.host_cryptogram));
  chip->session.kvn = command->p1;
  chip->session.phase = SE1_CHALLENGED;
  reply_bytes(chip, chip->uid + 6, 10);
  reply_bytes(chip, parameters, 3);
  reply_bytes(chip, context + 16, 16);
  reply_bytes(chip, cryptogram, 16);
  return SE1_OK;
}

/* A failure counts before it is known to be one, so cutting the power gains no try. */
static int count_failure(se1 *chip) {
  chip->auth_failures++;
  return counters_save(chip);
}

static int refuse(se1 *chip, int sw) {
  channel_close(chip, SE1_NO_SESSION);
  if (chip->auth_failures < SE1_LIMIT_AUTH_FAILURES)
    return sw;
  TRY(lifecycle_terminate(chip));
  return SE1_SW_BLOCKED;
}

static int authenticate(se1 *chip, const se1_command *command) {
  uint8_t frame[16 + 5 + 16] = {0}, mac[16];
  const uint8_t header[5] = {command->cla, command->ins, command->p1, command->p2, (uint8_t)command->n};
  memcpy(frame + 16, header, 5);
  memcpy(frame + 21, command->data, 16);
  TRY(count_failure(chip));
  TRY(cmac(chip, chip->session.mac, frame, sizeof frame, mac));
  if (differ(mac, command->data + 16, 16))
    return refuse(chip, SE1_SW_SM_WRONG);
  if (differ(chip->session.host_cryptogram, command->data, 16))
    return refuse(chip, SE1_SW_AUTH_FAILED);
  chip->auth_failures = 0;
  TRY(counters_save(chip));
  memcpy(chip->session.chain, mac, 16);
  chip->session.counter = 0;
  chip->session.phase = SE1_OPEN;
  return SE1_OK;
}

int do_external_authenticate(se1 *chip, const se1_command *command) {
  if (chip->session.phase != SE1_CHALLENGED)
    return SE1_SW_CONDITIONS;
  int result = SE1_SW_LENGTH;
  if (command->p1 != SE1_SCP_LEVEL || command->p2 != 0)
    result = SE1_SW_P1P2;
  else if (command->n == 32 && !command->extended)
    result = authenticate(chip, command);
  if (result != SE1_OK)
    channel_close(chip, SE1_NO_SESSION);
  return result;
}

/* The first block of CBC: the encrypted counter, of a command or of its reply. */
static int counter_block(se1 *chip, uint8_t first, uint8_t out[16]) {
  uint8_t block[16] = {0};
  block[0] = first;
  put32(block + 12, chip->session.counter);
  return chip->hal->aes(chip->ctx, SE1_AES_ECB_ENCRYPT, chip->session.enc, NULL, block, 16, out);
}

static int check_mac(se1 *chip, const se1_command *command, const uint8_t *header, size_t header_n) {
  uint8_t mac[16];
  size_t n = command->n - 16;
  memcpy(chip->frame, chip->session.chain, 16);
  memcpy(chip->frame + 16, header, header_n);
  memcpy(chip->frame + 16 + header_n, command->data, n);
  TRY(cmac(chip, chip->session.mac, chip->frame, 16 + header_n + n, mac));
  if (differ(mac, command->data + n, 16))
    return SE1_SW_SM_WRONG;
  memcpy(chip->session.chain, mac, 16);
  chip->session.counter++;
  return SE1_OK;
}

static int unpad(const uint8_t *data, size_t *n) {
  while (*n && data[*n - 1] == 0)
    --*n;
  if (!*n || data[*n - 1] != 0x80)
    return SE1_SW_SM_WRONG;
  --*n;
  return SE1_OK;
}

/* Check the C-MAC and decrypt; the command then reads as it was before wrapping, but for its class. */
int channel_unwrap(se1 *chip, se1_command *command, const uint8_t *header, size_t header_n) {
  uint8_t iv[16];
  if (command->n < 16 || (command->n & 15) || command->n > SE1_PAYLOAD_2 + 32)
    return SE1_SW_SM_WRONG;
  TRY(check_mac(chip, command, header, header_n));
  command->n -= 16;
  command->room = command->room < 32 ? 0 : (command->room - 16) / 16 * 16 - 1;
  if (command->n) {
    TRY(counter_block(chip, 0x00, iv));
    TRY(chip->hal->aes(chip->ctx, SE1_AES_CBC_DECRYPT, chip->session.enc, iv, command->data, command->n, chip->in));
    TRY(unpad(chip->in, &command->n));
  }
  command->data = chip->in;
  return SE1_OK;
}

/* Encrypt what the command answered and append the R-MAC. */
int channel_wrap(se1 *chip, uint16_t sw) {
  uint8_t iv[16];
  size_t n = chip->out_n;
  if (n) {
    chip->out[n++] = 0x80;
    while (n & 15)
      chip->out[n++] = 0;
    TRY(counter_block(chip, 0x80, iv));
    TRY(chip->hal->aes(chip->ctx, SE1_AES_CBC_ENCRYPT, chip->session.enc, iv, chip->out, n, chip->frame + 16));
  }
  memcpy(chip->frame, chip->session.chain, 16);
  put16(chip->frame + 16 + n, sw);
  memcpy(chip->out, chip->frame + 16, n);
  TRY(cmac(chip, chip->session.rmac, chip->frame, 16 + n + 2, chip->out + n));
  chip->out_n = n + 16;
  if (chip->life_cycle == SE1_STATE_TERMINATED)
    channel_close(chip, SE1_NO_SESSION);
  return SE1_OK;
}
