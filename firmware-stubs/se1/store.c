/* Containers HBC1: staged block by block in a bank that no committed container uses, checked, committed by one cell. */
#include "internal.h"

#define HEAD 11
#define OBJECT_HEAD 7
#define IDENTITY_SIZE 203
#define ISSUER_ID 22

static void staging_drop(se1 *chip) { memset(&chip->staging, 0, sizeof chip->staging); }

static uint8_t free_bank(const se1 *chip) {
  for (uint8_t bank = 0; bank < SE1_BANKS; bank++) {
    int used = 0;
    for (int kind = 0; kind < SE1_KINDS; kind++)
      used |= chip->container[kind].length && chip->container[kind].bank == bank;
    if (!used)
      return bank;
  }
  return 0; /* three kinds cannot fill four banks */
}

static int staging_flush(se1 *chip) {
  se1_staging *staging = &chip->staging;
  uint32_t page = AREA_BANK(staging->bank) + (staging->length - staging->tail) / SE1_PAGE_DATA;
  TRY(area_write(chip, page, staging->page, staging->tail));
  staging->tail = 0;
  return SE1_OK;
}

static int staging_append(se1 *chip, const uint8_t *data, size_t n) {
  se1_staging *staging = &chip->staging;
  if (staging->length + n > SE1_LIMIT_STAGING)
    return SE1_SW_NO_SPACE;
  while (n--) {
    staging->page[staging->tail++] = *data++;
    staging->length++;
    if (staging->tail == SE1_PAGE_DATA)
      TRY(staging_flush(chip));
  }
  return SE1_OK;
}

/* Where an object of a committed container lies; NOT_FOUND if there is none. */
int store_object(se1 *chip, uint8_t type, uint8_t slot, uint32_t *page, uint32_t *offset, uint32_t *length) {
  for (int kind = 0; kind < SE1_KINDS; kind++) {
    const se1_container *container = &chip->container[kind];
    uint8_t head[OBJECT_HEAD];
    *page = AREA_BANK(container->bank);
    for (*offset = HEAD; container->length && *offset + SE1_HASH < container->length; *offset += *length) {
      TRY(area_read(chip, *page, *offset, head, sizeof head));
      *offset += OBJECT_HEAD;
      *length = get24(head + 4);
      if (head[0] == type && head[1] == slot)
        return SE1_OK;
    }
  }
  return SE1_SW_NOT_FOUND;
}

int store_hash(se1 *chip, uint8_t out[SE1_HASH]) {
  size_t n = 0;
  for (int kind = 0; kind < SE1_KINDS; kind++) {
    const se1_container *container = &chip->container[kind];
    TRY(area_read(chip, AREA_BANK(container->bank), 0, chip->work + n, container->length));
    n += container->length;
  }
  return chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, chip->work, n, out);
}

static int identity_sound(const se1 *chip, const uint8_t *object) {
  return object[0] == SE1_OBJECT_IDENTITY && object[1] == 0 && get16(object + 2) == 0 &&
         get24(object + 4) == IDENTITY_SIZE && object[OBJECT_HEAD] == 1 &&
         !differ(object + OBJECT_HEAD + 1, chip->uid, 16);
}

static int certificate_sound(const se1 *chip, const uint8_t *object, uint32_t *seen) {
  uint32_t index = object[1] - 1u;
  if (object[0] == SE1_OBJECT_ISSUER_IDS)
    return get24(object + 4) % ISSUER_ID == 0;
  if (object[0] != SE1_OBJECT_CERTIFICATE || index >= SE1_SLOTS || *seen & 1u << index)
    return 0;
  *seen |= 1u << index;
  return chip->slot[index].state == SE1_SLOT_STATE_VALID && get16(object + 2) == chip->slot[index].algorithm;
}

static int object_sound(const se1 *chip, uint8_t kind, const uint8_t *object, uint32_t *seen) {
  if (kind == SE1_CONTAINER_IDENTITY)
    return identity_sound(chip, object);
  if (kind == SE1_CONTAINER_CREDENTIALS)
    return certificate_sound(chip, object, seen);
  return object[0] == SE1_OBJECT_CUSTOMER;
}

/* Every slot of the personalisation list has its certificate. */
static int certificates_complete(uint32_t seen) {
  static const uint8_t slots[] = SE1_PERSONALISED_SLOTS;
  for (size_t i = 0; i < sizeof slots; i++)
    if (!(seen & 1u << (slots[i] - 1)))
      return 0;
  return 1;
}

static int objects_sound(const se1 *chip, uint8_t kind, const uint8_t *at, uint32_t n, uint32_t count) {
  uint32_t seen = 0;
  if (kind == SE1_CONTAINER_IDENTITY && count != 1)
    return 0;
  for (; count; count--) {
    if (n < OBJECT_HEAD || get24(at + 4) > n - OBJECT_HEAD || !object_sound(chip, kind, at, &seen))
      return 0;
    n -= OBJECT_HEAD + get24(at + 4);
    at += OBJECT_HEAD + get24(at + 4);
  }
  return n == 0 && (kind != SE1_CONTAINER_CREDENTIALS || certificates_complete(seen));
}

static int kind_allowed(const se1 *chip, uint8_t kind) {
  if (chip->life_cycle == SE1_STATE_OP_READY)
    return kind == SE1_CONTAINER_IDENTITY;
  return (kind == SE1_CONTAINER_CREDENTIALS && slots_personalised(chip)) || kind == SE1_CONTAINER_CUSTOMER;
}

/* The staged container lies in `work`. */
static int container_check(se1 *chip, uint32_t n) {
  const uint8_t *at = chip->work;
  uint8_t hash[SE1_HASH];
  if (n < HEAD + SE1_HASH || memcmp(at, "HBC1\x01", 5) || get24(at + 8) != n - HEAD - SE1_HASH)
    return SE1_SW_DATA;
  TRY(chip->hal->digest(chip->ctx, SE1_DIGEST_SHA384, NULL, 0, at, n - SE1_HASH, hash));
  if (differ(hash, at + n - SE1_HASH, SE1_HASH) || at[5] < 1 || at[5] > SE1_KINDS)
    return SE1_SW_DATA;
  if (!kind_allowed(chip, at[5]))
    return SE1_SW_CONDITIONS;
  return objects_sound(chip, at[5], at + HEAD, n - HEAD - SE1_HASH, get16(at + 6)) ? SE1_OK : (int)SE1_SW_DATA;
}

static uint32_t stored(const se1 *chip, uint8_t without) {
  uint32_t sum = 0;
  for (int kind = 0; kind < SE1_KINDS; kind++)
    if (kind + 1 != without)
      sum += chip->container[kind].length;
  return sum;
}

static int container_commit(se1 *chip) {
  const uint32_t n = chip->staging.length;
  TRY(staging_flush(chip));
  TRY(area_read(chip, AREA_BANK(chip->staging.bank), 0, chip->work, n));
  TRY(container_check(chip, n));
  const uint8_t kind = chip->work[5];
  if (stored(chip, kind) + n > SE1_LIMIT_STORE)
    return SE1_SW_NO_SPACE;
  se1_container next[SE1_KINDS];
  memcpy(next, chip->container, sizeof next);
  next[kind - 1] = (se1_container){.length = n, .bank = chip->staging.bank};
  TRY(directory_save(chip, next));
  return kind == SE1_CONTAINER_IDENTITY ? lifecycle_initialized(chip) : SE1_OK;
}

static int store_block(se1 *chip, const se1_command *command) {
  se1_staging *staging = &chip->staging;
  if (command->p2 == 0) {
    staging_drop(chip);
    staging->open = 1;
    staging->bank = free_bank(chip);
  }
  if (!staging->open || staging->next_block != command->p2)
    return SE1_SW_DATA;
  staging->next_block++;
  TRY(staging_append(chip, command->data, command->n));
  return command->p1 ? container_commit(chip) : SE1_OK;
}

int do_store_data(se1 *chip, const se1_command *command) {
  if (command->p1 != 0x00 && command->p1 != 0x80)
    return SE1_SW_P1P2;
  int result = store_block(chip, command);
  if (result != SE1_OK || command->p1)
    staging_drop(chip);
  return result;
}
