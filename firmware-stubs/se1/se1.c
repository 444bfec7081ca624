/* Boot, and one command: parse, secure channel, table, handler, answer. */
#include "internal.h"

static const se1_command_row rows[SE1_COMMANDS] = SE1_COMMAND_ROWS;

static const se1_handler handlers[SE1_COMMANDS] = {
    [SE1_SELECT] = do_select,
    [SE1_GET_UID] = do_get_uid,
    [SE1_GET_CPLC] = do_get_cplc,
    [SE1_GET_KEY_INFO] = do_get_key_info,
    [SE1_DIE_STATUS] = do_die_status,
    [SE1_SELF_TEST] = do_self_test,
    [SE1_TRNG_HEALTH] = do_trng_health,
    [SE1_RUN_KAT] = do_run_kat,
    [SE1_RUN_BIST] = do_run_bist,
    [SE1_WRITE_OPERAND] = do_write_operand,
    [SE1_READ] = do_read,
    [SE1_INITIALIZE_UPDATE] = do_initialize_update,
    [SE1_EXTERNAL_AUTHENTICATE] = do_external_authenticate,
    [SE1_PUT_KEY] = do_put_key,
    [SE1_DELETE_KEY] = do_delete_key,
    [SE1_STORE_DATA] = do_store_data,
    [SE1_GENERATE_KEY_PAIR] = do_generate_key_pair,
    [SE1_IMPORT_KEY] = do_import_key,
    [SE1_INTERNAL_AUTHENTICATE] = do_internal_authenticate,
    [SE1_GENERAL_AUTHENTICATE] = do_general_authenticate,
    [SE1_STORE_HASH] = do_store_hash,
    [SE1_SLOT_INFO] = do_slot_info,
    [SE1_SET_STATUS] = do_set_status,
    [SE1_VERIFY_TOKEN] = do_verify_token,
    [SE1_SET_UID] = do_set_uid,
    [SE1_KEM_TRANSPORT] = do_kem_transport,
    [SE1_PUT_TRANSPORT_KEYS] = do_put_transport_keys,
};

size_t se1_size(void) { return sizeof(se1); }

static int boot(se1 *chip) {
  TRY(records_load(chip));
  TRY(lifecycle_boot(chip));
  if (chip->auth_failures >= SE1_LIMIT_AUTH_FAILURES && chip->life_cycle != SE1_STATE_TERMINATED)
    TRY(lifecycle_terminate(chip));
  chip->boots++;
  TRY(counters_save(chip));
  TRY(trng_startup(chip));
  return cast_symmetric(chip);
}

void se1_power_on(se1 *chip, const se1_hal *hal, void *ctx) {
  memset(chip, 0, sizeof *chip);
  chip->hal = hal;
  chip->ctx = ctx;
  chip->dead = boot(chip) != SE1_OK;
}

void se1_reset(se1 *chip) { se1_power_on(chip, chip->hal, chip->ctx); }

/* ISO 7816-4: the four cases, short and extended; 1 if it is none of them. */
static int parse(const uint8_t *cmd, size_t n, se1_command *command, size_t *header_n) {
  size_t lc = 0, le_n;
  memset(command, 0, sizeof *command);
  if (n < 4)
    return 1;
  command->cla = cmd[0];
  command->ins = cmd[1];
  command->p1 = cmd[2];
  command->p2 = cmd[3];
  command->extended = n >= 7 && cmd[4] == 0;
  *header_n = 4;
  if (command->extended && n > 7) {
    lc = get16(cmd + 5);
    *header_n = 7;
  } else if (!command->extended && n > 5) {
    lc = cmd[4];
    *header_n = 5;
  }
  if (*header_n > 4 && (lc == 0 || *header_n + lc > n))
    return 1;
  le_n = n - *header_n - lc;
  command->data = cmd + *header_n;
  command->n = lc;
  if (le_n == 0)
    command->room = 256;
  else if (!command->extended && le_n == 1)
    command->room = cmd[n - 1] ? cmd[n - 1] : 256;
  else if (command->extended && le_n == (lc ? 2u : 3u))
    command->room = get16(cmd + n - 2) ? get16(cmd + n - 2) : 65536;
  else
    return 1;
  return 0;
}

static int find(const se1_command *command, int secure, int *found) {
  int sw = SE1_SW_INS;
  for (int i = 0; i < SE1_COMMANDS; i++) {
    const se1_command_row *row = &rows[i];
    if (row->ins != command->ins)
      continue;
    if (sw == SE1_SW_INS)
      sw = SE1_SW_CLA;
    if (command->cla != (row->cla | (secure ? 4 : 0)))
      continue;
    sw = SE1_SW_P1P2;
    if ((row->p1 == SE1_ANY || row->p1 == command->p1) && (row->p2 == SE1_ANY || row->p2 == command->p2)) {
      *found = i;
      return SE1_OK;
    }
  }
  return sw;
}

/* The bit of the life-cycle state in a row; in the order of commands.toml. */
static uint16_t state_bit(const se1 *chip) {
  static const uint8_t codes[] = {SE1_STATE_RAW,         SE1_STATE_TEST_UNLOCKED, SE1_STATE_TEST_LOCKED,
                                  SE1_STATE_OP_READY,    SE1_STATE_INITIALIZED,   SE1_STATE_SECURED,
                                  SE1_STATE_CARD_LOCKED, SE1_STATE_RMA,           SE1_STATE_TERMINATED};
  for (unsigned i = 0; i < sizeof codes; i++)
    if (codes[i] == chip->life_cycle)
      return (uint16_t)(1u << i);
  return 0;
}

static int ends_session(const se1_command *command) {
  return (command->cla == 0x00 && command->ins == rows[SE1_SELECT].ins) ||
         (command->cla == 0x80 && command->ins == rows[SE1_INITIALIZE_UPDATE].ins);
}

static int abort_session(se1 *chip, int sw) {
  channel_close(chip, SE1_ABORTED);
  return sw;
}

/* A reply that could not be protected is none: the session ends, and nothing leaves in the clear. */
static int reply_wrap(se1 *chip, uint16_t *sw) {
  int result = channel_wrap(chip, *sw);
  if (result != SE1_OK && result != SE1_CUT) {
    chip->out_n = 0;
    *sw = SE1_SW_INTERNAL;
    return abort_session(chip, result);
  }
  return result;
}

/* Check a command against its row and run it. */
static int run(se1 *chip, const se1_command *command, int secure) {
  int id = 0;
  TRY(find(command, secure, &id));
  const se1_command_row *row = &rows[id];
  if (!(row->states & state_bit(chip)))
    return SE1_SW_CONDITIONS;
  if (!(row->channel & (secure ? SE1_CHANNEL_SECURE : SE1_CHANNEL_PLAIN)))
    return SE1_SW_SECURITY;
  if (command->n < row->length || (row->exact && command->n > row->length) || command->n > payload_size(chip))
    return SE1_SW_LENGTH;
  return handlers[id](chip, command);
}

static int in_session(se1 *chip, se1_command *command, const uint8_t *header, size_t header_n, int *protect) {
  if (command->cla != 0x84)
    return abort_session(chip, SE1_SW_SECURITY);
  int result = channel_unwrap(chip, command, header, header_n);
  if (result != SE1_OK)
    return abort_session(chip, result);
  *protect = 1;
  return run(chip, command, 1);
}

/* Under attack, and until the next reset, a die tells who it is and how it is, and computes nothing. */
static int attacked(se1 *chip, const se1_command *command) {
  const se1_command_row *status = &rows[SE1_DIE_STATUS], *uid = &rows[SE1_GET_UID];
  if (chip->hal->sensor(chip->ctx) == 1) {
    chip->alarms |= SE1_ALARM_SENSOR;
    channel_close(chip, SE1_NO_SESSION);
  }
  if (!(chip->alarms & SE1_ALARM_SENSOR))
    return 0;
  return command->cla != status->cla || command->ins != status->ins ||
         ((command->p1 != status->p1 || command->p2 != status->p2) &&
          (command->p1 != uid->p1 || command->p2 != uid->p2));
}

static int dispatch(se1 *chip, se1_command *command, const uint8_t *header, size_t header_n, int *protect) {
  int fresh = ends_session(command), authenticates = command->cla == 0x84 && command->ins == 0x82;
  if (attacked(chip, command))
    return SE1_SW_SENSOR;
  if (fresh)
    channel_close(chip, SE1_NO_SESSION);
  if (chip->session.phase == SE1_ABORTED)
    return SE1_SW_SECURITY;
  if (chip->session.phase == SE1_OPEN)
    return in_session(chip, command, header, header_n, protect);
  if (!authenticates)
    channel_close(chip, SE1_NO_SESSION);
  if (command->cla == 0x84 && !authenticates)
    return SE1_SW_SECURITY;
  if (command->cla != 0x84 && command->cla != 0x80 && command->cla != 0x00)
    return SE1_SW_CLA;
  if (authenticates)
    return do_external_authenticate(chip, command);
  return run(chip, command, 0);
}

size_t se1_apdu(se1 *chip, const uint8_t *cmd, size_t n, uint8_t *reply, size_t max) {
  se1_command command;
  size_t header_n = 0;
  int result = SE1_SW_LENGTH, protect = 0;
  uint16_t sw;
  if (chip->dead)
    return 0;
  chip->out_n = 0;
  if (n <= SE1_FRAME && !parse(cmd, n, &command, &header_n))
    result = dispatch(chip, &command, cmd, header_n, &protect);
  sw = (uint16_t)(result == SE1_OK ? SE1_SW_OK : result == SE1_FAIL ? SE1_SW_INTERNAL : (uint32_t)result);
  if (sw != SE1_SW_OK && sw != SE1_SW_LOCKED_WARNING)
    chip->out_n = 0;
  else if (protect && result != SE1_CUT)
    result = reply_wrap(chip, &sw);
  if (result == SE1_CUT || chip->out_n + 2 > max) {
    chip->dead = 1;
    return 0;
  }
  memcpy(reply, chip->out, chip->out_n);
  put16(reply + chip->out_n, sw);
  return chip->out_n + 2;
}
