/* What the parts of the ROM share. A function that can fail returns SE1_OK, SE1_FAIL, SE1_CUT or a status word. */
#ifndef SE1_INTERNAL_H
#define SE1_INTERNAL_H

#include <string.h>

#include "se1.h"

#define TRY(call)                \
  do {                           \
    int try_result = (call);     \
    if (try_result != SE1_OK)    \
      return try_result;         \
  } while (0)

#define SE1_ROM_VERSION 0x00010000u
#define SE1_FIRMWARE_VERSION 0x00010002u

enum { SE1_NO_SESSION, SE1_CHALLENGED, SE1_OPEN, SE1_ABORTED };
enum { SE1_ALARM_SENSOR = 1, SE1_ALARM_NVM = 2, SE1_ALARM_RNG = 4, SE1_ALARM_CAST = 8 };
enum { SE1_RNG_SOUND, SE1_RNG_STARTUP, SE1_RNG_RCT, SE1_RNG_APT };

/* A command as its handler sees it: in the clear, its length checked against the table. */
typedef struct {
  uint8_t cla, ins, p1, p2, extended;
  const uint8_t *data;
  size_t n, room; /* room: bytes of plaintext that the reply may have */
} se1_command;

typedef int (*se1_handler)(se1 *chip, const se1_command *command);

/* bytes.c */
void put16(uint8_t *out, uint32_t value);
void put24(uint8_t *out, uint32_t value);
void put32(uint8_t *out, uint32_t value);
uint16_t get16(const uint8_t *in);
uint32_t get24(const uint8_t *in);
uint32_t get32(const uint8_t *in);
uint8_t crc8(const uint8_t *data, size_t n);
uint32_t crc32(const uint8_t *data, size_t n);
void wipe(void *data, size_t n);
int differ(const uint8_t *a, const uint8_t *b, size_t n); /* in constant time; 0: equal */
void reply_bytes(se1 *chip, const void *data, size_t n);

/* nvm.c: cells are small records in two pages, written in turn; areas are runs of pages with a CRC each */
enum { CELL_UID, CELL_COUNTERS, CELL_DIRECTORY, CELL_RMA, CELL_SET_30, CELL_SET_31, CELL_SLOT_1 };
#define SE1_CELL_DATA 54
#define AREA_SCRATCH 30u
#define AREA_SET(index) (32u + 8u * (index))
#define AREA_PRIVATE(slot) (64u + 64u * (slot))
#define AREA_PUBLIC(slot) (68u + 64u * (slot))
#define SE1_BANK_PAGES 288u
#define AREA_BANK(bank) (512u + SE1_BANK_PAGES * (bank))
#define SE1_BANKS 4
int cell_read(se1 *chip, uint32_t cell, uint8_t *out, size_t n); /* zeros if never written */
int cell_write(se1 *chip, uint32_t cell, const uint8_t *data, size_t n);
int area_read(se1 *chip, uint32_t page, uint32_t offset, uint8_t *out, size_t n);
int area_write(se1 *chip, uint32_t page, const uint8_t *data, size_t n);
int area_wipe(se1 *chip, uint32_t page, size_t n);
int pages_clear(se1 *chip, uint32_t page, uint32_t count);
int records_load(se1 *chip);
int counters_save(se1 *chip);
int directory_save(se1 *chip, const se1_container next[SE1_KINDS]);
int slot_save(se1 *chip, uint32_t index, const se1_slot *next);

/* lifecycle.c */
int lifecycle_boot(se1 *chip);
int lifecycle_initialized(se1 *chip);
int lifecycle_terminate(se1 *chip);
int do_set_status(se1 *chip, const se1_command *command);
int do_verify_token(se1 *chip, const se1_command *command);

/* channel.c */
void channel_close(se1 *chip, uint8_t phase);
int channel_unwrap(se1 *chip, se1_command *command, const uint8_t *header, size_t header_n);
int channel_wrap(se1 *chip, uint16_t sw);
int do_initialize_update(se1 *chip, const se1_command *command);
int do_external_authenticate(se1 *chip, const se1_command *command);

/* keys.c */
#define SE1_SET_SIZE 96      /* ENC, MAC, DEK */
#define SE1_TRANSPORT_SIZE 144 /* and the hash of the test token */
#define PRIVATE_MOST 64 /* bytes of a private key, or of its seed */
int set_index(uint8_t kvn); /* 0, 1, or -1 */
int kdf(se1 *chip, const uint8_t key[32], const uint8_t label[12], const uint8_t *context, size_t n, uint32_t bits,
        uint8_t *out);
int kwp_unwrap(se1 *chip, const uint8_t key[32], const uint8_t *in, size_t n, uint8_t *out, size_t want);
int do_put_key(se1 *chip, const se1_command *command);
int do_delete_key(se1 *chip, const se1_command *command);
int do_set_uid(se1 *chip, const se1_command *command);
int do_kem_transport(se1 *chip, const se1_command *command);
int do_put_transport_keys(se1 *chip, const se1_command *command);

/* slots.c, proofs.c */
typedef struct {
  uint16_t algorithm, attributes, private_n, public_n, signature_n, cast;
} se1_slot_kind;
extern const se1_slot_kind se1_slot_kinds[SE1_SLOTS];
int slots_personalised(const se1 *chip); /* 1: every slot of the personalisation list is VALID */
int slots_wipe(se1 *chip);
int do_generate_key_pair(se1 *chip, const se1_command *command);
int do_import_key(se1 *chip, const se1_command *command);
int do_internal_authenticate(se1 *chip, const se1_command *command);
int do_general_authenticate(se1 *chip, const se1_command *command);
size_t slot_entries(const se1 *chip, uint8_t *out);

/* store.c, read.c */
int store_hash(se1 *chip, uint8_t out[SE1_HASH]);
int store_object(se1 *chip, uint8_t type, uint8_t slot, uint32_t *page, uint32_t *offset, uint32_t *length);
int do_store_data(se1 *chip, const se1_command *command);
int do_read(se1 *chip, const se1_command *command);
int do_write_operand(se1 *chip, const se1_command *command);

/* info.c */
uint32_t payload_size(const se1 *chip);
int do_select(se1 *chip, const se1_command *command);
int do_get_uid(se1 *chip, const se1_command *command);
int do_get_cplc(se1 *chip, const se1_command *command);
int do_get_key_info(se1 *chip, const se1_command *command);
int do_die_status(se1 *chip, const se1_command *command);
int do_store_hash(se1 *chip, const se1_command *command);
int do_slot_info(se1 *chip, const se1_command *command);

/* trng.c */
int trng_startup(se1 *chip);
int trng_raw(se1 *chip, uint8_t *out, size_t n);
int trng_random(se1 *chip, uint8_t *out, size_t n); /* RNG_FAILED while an alarm is held */
int do_trng_health(se1 *chip, const se1_command *command);

/* selftest.c, kat.c, rom.c */
int cast(se1 *chip, uint32_t bit); /* the self-test of an algorithm, once, before its first use */
int cast_symmetric(se1 *chip);      /* those that boot itself needs */
int do_self_test(se1 *chip, const se1_command *command);
int do_run_bist(se1 *chip, const se1_command *command);
int do_run_kat(se1 *chip, const se1_command *command);
extern const uint8_t se1_aid[8];
extern const uint8_t se1_raw_token_hash[SE1_HASH];
extern const uint8_t se1_plant_key_hashes[2][SE1_HASH];
int rom_hash(se1 *chip, uint8_t out[SE1_HASH]);

/* Bits of SELF TEST. */
enum {
  TEST_AES = 1, TEST_SHA = 2, TEST_DRBG = 4, TEST_TRNG = 8, TEST_ECDSA = 16, TEST_MLDSA = 32, TEST_MLKEM = 64,
  TEST_ROM = 128, TEST_NVM = 256
};

#endif
