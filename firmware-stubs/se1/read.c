/* READ and WRITE OPERAND: what is too long for one command. */
#include "internal.h"

typedef struct {
  uint8_t type, slot;
  uint32_t offset, length;
} read_request;

static int in_clear(const se1 *chip) { return chip->session.phase != SE1_OPEN; }

static int test_mode(const se1 *chip) {
  return chip->life_cycle == SE1_STATE_TEST_UNLOCKED || chip->life_cycle == SE1_STATE_RMA;
}

static int permitted(const se1 *chip, uint8_t type) {
  if (!in_clear(chip) || test_mode(chip))
    return 1;
  return (chip->life_cycle == SE1_STATE_SECURED || chip->life_cycle == SE1_STATE_CARD_LOCKED) &&
         (type == SE1_OBJECT_CERTIFICATE || type == SE1_OBJECT_ISSUER_IDS);
}

/* Cut the request to what the object holds. */
static int clip(read_request *request, uint32_t size) {
  if (request->offset > size)
    return SE1_SW_DATA;
  if (request->length > size - request->offset)
    request->length = size - request->offset;
  return SE1_OK;
}

static int read_area(se1 *chip, uint32_t page, uint32_t start, uint32_t size, read_request *request) {
  TRY(clip(request, size));
  TRY(area_read(chip, page, start + request->offset, chip->out, request->length));
  chip->out_n = request->length;
  return SE1_OK;
}

static int read_public_key(se1 *chip, read_request *request) {
  uint32_t index = request->slot - 1u;
  if (index >= SE1_SLOTS || chip->slot[index].state != SE1_SLOT_STATE_VALID)
    return SE1_SW_NOT_FOUND;
  return read_area(chip, AREA_PUBLIC(index), 0, se1_slot_kinds[index].public_n, request);
}

static int read_object(se1 *chip, read_request *request) {
  uint32_t page, start, size;
  TRY(store_object(chip, request->type, request->slot, &page, &start, &size));
  return read_area(chip, page, start, size, request);
}

static int read_raw(se1 *chip, const read_request *request) {
  int result = trng_raw(chip, chip->out, request->length);
  if (result == SE1_FAIL)
    return SE1_SW_RNG_FAILED;
  chip->out_n = request->length;
  return result;
}

static int read_result(se1 *chip, read_request *request) {
  TRY(clip(request, (uint32_t)chip->result_n));
  reply_bytes(chip, chip->result + request->offset, request->length);
  return SE1_OK;
}

int do_read(se1 *chip, const se1_command *command) {
  const uint8_t *data = command->data;
  read_request request = {data[0], data[1], get24(data + 2), get16(data + 5)};
  if (!permitted(chip, request.type))
    return SE1_SW_SECURITY;
  if (request.length > payload_size(chip) || request.length > command->room)
    return SE1_SW_LENGTH;
  switch (request.type) {
  case SE1_OBJECT_TRNG_RAW:
    return read_raw(chip, &request);
  case SE1_OBJECT_RESULT:
    return read_result(chip, &request);
  case SE1_OBJECT_PUBLIC_KEY:
    return read_public_key(chip, &request);
  case SE1_OBJECT_IDENTITY:
  case SE1_OBJECT_CERTIFICATE:
  case SE1_OBJECT_ISSUER_IDS:
  case SE1_OBJECT_CUSTOMER:
    return read_object(chip, &request);
  default:
    return SE1_SW_NOT_FOUND;
  }
}

int do_write_operand(se1 *chip, const se1_command *command) {
  size_t offset = (size_t)command->p1 << 8 | command->p2;
  if (in_clear(chip) && !test_mode(chip))
    return SE1_SW_SECURITY;
  if (offset == 0)
    chip->operand_n = 0;
  if (offset > chip->operand_n)
    return SE1_SW_DATA;
  if (offset + command->n > sizeof chip->operand)
    return SE1_SW_NO_SPACE;
  memcpy(chip->operand + offset, command->data, command->n);
  if (offset + command->n > chip->operand_n)
    chip->operand_n = offset + command->n;
  return SE1_OK;
}
