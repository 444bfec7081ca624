/* Records that survive a power cut.
   Cell: two pages, format, length, sequence number, data, CRC-32; the valid page with the higher number counts, and a
   write goes to the other one. Area: 60 bytes of data and a CRC-32 per page; what names it is a cell, written last. */
#include "internal.h"

#define CELL_FORMAT 0x43
#define AT_ONCE 16 /* pages read with one call */

static uint32_t at_once(size_t pages) { return pages < AT_ONCE ? (uint32_t)pages : AT_ONCE; }

static int page_blank(const uint8_t page[64]) {
  for (int i = 0; i < 64; i++)
    if (page[i] != 0xFF)
      return 0;
  return 1;
}

static int page_sound(const uint8_t page[64]) { return get32(page + 60) == crc32(page, 60); }

static int page_write(se1 *chip, uint32_t number, uint8_t page[64]) {
  put32(page + 60, crc32(page, 60));
  int result = chip->hal->nvm_write(chip->ctx, number, page);
  return result == SE1_FAIL ? (int)SE1_SW_NVM_FAILURE : result;
}

/* Read both pages of a cell: the index of the one that counts, or -1. */
static int cell_pages(se1 *chip, uint32_t cell, uint8_t pages[2][64], int *which) {
  int sound[2], blank = 0;
  TRY(chip->hal->nvm_read(chip->ctx, 2 * cell, 2, pages[0]));
  for (int i = 0; i < 2; i++) {
    blank += page_blank(pages[i]);
    sound[i] = pages[i][0] == CELL_FORMAT && page_sound(pages[i]);
  }
  if (sound[0] && sound[1])
    *which = get32(pages[1] + 2) > get32(pages[0] + 2);
  else
    *which = sound[0] ? 0 : sound[1] ? 1 : -1;
  if (*which < 0 && !blank)
    chip->alarms |= SE1_ALARM_NVM;
  return SE1_OK;
}

int cell_read(se1 *chip, uint32_t cell, uint8_t *out, size_t n) {
  uint8_t pages[2][64];
  int which;
  TRY(cell_pages(chip, cell, pages, &which));
  if (which < 0 || pages[which][1] != n)
    memset(out, 0, n);
  else
    memcpy(out, pages[which] + 6, n);
  return SE1_OK;
}

int cell_write(se1 *chip, uint32_t cell, const uint8_t *data, size_t n) {
  uint8_t pages[2][64], page[64] = {0};
  int which;
  TRY(cell_pages(chip, cell, pages, &which));
  page[0] = CELL_FORMAT;
  page[1] = (uint8_t)n;
  put32(page + 2, which < 0 ? 1 : get32(pages[which] + 2) + 1);
  memcpy(page + 6, data, n);
  return page_write(chip, 2 * cell + (which == 0), page);
}

/* The data of one page, if it is sound. */
static int page_take(se1 *chip, const uint8_t page[64], uint32_t offset, uint8_t *out, size_t n) {
  if (!page_sound(page)) {
    chip->alarms |= SE1_ALARM_NVM;
    return SE1_SW_NVM_INTEGRITY;
  }
  memcpy(out, page + offset, n);
  return SE1_OK;
}

int area_read(se1 *chip, uint32_t page, uint32_t offset, uint8_t *out, size_t n) {
  uint8_t pages[AT_ONCE][64];
  page += offset / SE1_PAGE_DATA;
  offset %= SE1_PAGE_DATA;
  while (n) {
    uint32_t count = at_once((offset + n + SE1_PAGE_DATA - 1) / SE1_PAGE_DATA);
    TRY(chip->hal->nvm_read(chip->ctx, page, count, pages[0]));
    page += count;
    for (uint32_t i = 0; i < count; i++) {
      size_t part = n < SE1_PAGE_DATA - offset ? n : SE1_PAGE_DATA - offset;
      TRY(page_take(chip, pages[i], offset, out, part));
      out += part;
      n -= part;
      offset = 0;
    }
  }
  return SE1_OK;
}

int area_write(se1 *chip, uint32_t page, const uint8_t *data, size_t n) {
  while (n) {
    uint8_t buffer[64] = {0};
    size_t part = n < SE1_PAGE_DATA ? n : SE1_PAGE_DATA;
    memcpy(buffer, data, part);
    TRY(page_write(chip, page++, buffer));
    data += part;
    n -= part;
  }
  return SE1_OK;
}

/* The first page goes last: while it holds anything, the wipe is not finished. */
int area_wipe(se1 *chip, uint32_t page, size_t n) {
  static const uint8_t zeros[64];
  for (uint32_t left = (uint32_t)((n + SE1_PAGE_DATA - 1) / SE1_PAGE_DATA); left > 0; left--)
    TRY(chip->hal->nvm_write(chip->ctx, page + left - 1, zeros));
  return SE1_OK;
}

/* Whatever stands in a run of pages, known to a record or not. */
int pages_clear(se1 *chip, uint32_t page, uint32_t count) {
  static const uint8_t zeros[64];
  uint8_t found[AT_ONCE][64];
  while (count) {
    uint32_t part = at_once(count);
    TRY(chip->hal->nvm_read(chip->ctx, page, part, found[0]));
    for (uint32_t i = 0; i < part; i++)
      if (!page_blank(found[i]) && differ(found[i], zeros, sizeof zeros))
        TRY(chip->hal->nvm_write(chip->ctx, page + i, zeros));
    page += part;
    count -= part;
  }
  return SE1_OK;
}

/* Keys without a marker: a cut fell between the marker and the wipe, or came before a new set was complete. */
static int residue_wipe(se1 *chip, uint32_t area, size_t n) {
  static const uint8_t zeros[64];
  uint8_t page[64];
  TRY(chip->hal->nvm_read(chip->ctx, area, 1, page));
  if (page_blank(page) || !differ(page, zeros, sizeof page))
    return SE1_OK;
  return area_wipe(chip, area, n);
}

static int slot_load(se1 *chip, uint32_t index) {
  uint8_t cell[53];
  se1_slot *slot = &chip->slot[index];
  TRY(cell_read(chip, CELL_SLOT_1 + index, cell, sizeof cell));
  slot->state = cell[0];
  slot->algorithm = get16(cell + 1);
  slot->attributes = get16(cell + 3);
  memcpy(slot->hash, cell + 5, SE1_HASH);
  return SE1_OK;
}

/* What a die says of itself is what the next boot finds: each record is written before it is believed. */
int slot_save(se1 *chip, uint32_t index, const se1_slot *next) {
  uint8_t cell[53];
  cell[0] = next->state;
  put16(cell + 1, next->algorithm);
  put16(cell + 3, next->attributes);
  memcpy(cell + 5, next->hash, SE1_HASH);
  TRY(cell_write(chip, CELL_SLOT_1 + index, cell, sizeof cell));
  chip->slot[index] = *next;
  return SE1_OK;
}

int counters_save(se1 *chip) {
  uint8_t cell[8];
  put32(cell, chip->boots);
  cell[4] = chip->auth_failures;
  memcpy(cell + 5, chip->token_failures, 3);
  return cell_write(chip, CELL_COUNTERS, cell, sizeof cell);
}

int directory_save(se1 *chip, const se1_container next[SE1_KINDS]) {
  uint8_t cell[4 * SE1_KINDS];
  for (int kind = 0; kind < SE1_KINDS; kind++) {
    cell[4 * kind] = next[kind].bank;
    put24(cell + 4 * kind + 1, next[kind].length);
  }
  TRY(cell_write(chip, CELL_DIRECTORY, cell, sizeof cell));
  memcpy(chip->container, next, sizeof chip->container);
  return SE1_OK;
}

static int directory_load(se1 *chip) {
  uint8_t cell[4 * SE1_KINDS];
  TRY(cell_read(chip, CELL_DIRECTORY, cell, sizeof cell));
  for (int kind = 0; kind < SE1_KINDS; kind++) {
    chip->container[kind].bank = cell[4 * kind];
    chip->container[kind].length = get24(cell + 4 * kind + 1);
  }
  return SE1_OK;
}

int records_load(se1 *chip) {
  uint8_t cell[17];
  TRY(cell_read(chip, CELL_COUNTERS, cell, 8));
  chip->boots = get32(cell);
  chip->auth_failures = cell[4];
  memcpy(chip->token_failures, cell + 5, 3);
  TRY(cell_read(chip, CELL_UID, cell, 17));
  chip->has_uid = cell[0];
  memcpy(chip->uid, cell + 1, 16);
  TRY(cell_read(chip, CELL_SET_30, &chip->has_set[0], 1));
  TRY(cell_read(chip, CELL_SET_31, &chip->has_set[1], 1));
  TRY(cell_read(chip, CELL_RMA, &chip->rma_pending, 1));
  for (uint32_t index = 0; index < 2; index++)
    if (!chip->has_set[index])
      TRY(residue_wipe(chip, AREA_SET(index), SE1_TRANSPORT_SIZE));
  for (uint32_t index = 0; index < SE1_SLOTS; index++) {
    TRY(slot_load(chip, index));
    if (chip->slot[index].state == SE1_SLOT_STATE_EMPTY || chip->slot[index].state == SE1_SLOT_STATE_WIPED)
      TRY(residue_wipe(chip, AREA_PRIVATE(index), PRIVATE_MOST));
  }
  return directory_load(chip);
}
