/* The noise source under the health tests of SP 800-90B section 4.4: repetition count (RCT) and adaptive proportion
   (APT) on every raw bit, cutoffs for H = 1 per bit and alpha = 2^-40. An alarm is held until reset. */
#include "internal.h"

#define RCT_CUTOFF 41
#define APT_CUTOFF 625
#define APT_WINDOW 1024
#define STARTUP_SAMPLES 1024

static void alarm(se1 *chip, uint8_t state) {
  if (chip->trng.state == SE1_RNG_SOUND)
    chip->trng.state = state;
  chip->alarms |= SE1_ALARM_RNG;
}

static void sample(se1 *chip, uint8_t bit) {
  se1_trng *trng = &chip->trng;
  trng->run = (uint16_t)(trng->samples && bit == trng->last_bit ? trng->run + (trng->run < 0xFFFF) : 1);
  trng->last_bit = bit;
  trng->samples++;
  if (trng->run > trng->longest)
    trng->longest = trng->run;
  if (trng->run >= RCT_CUTOFF)
    alarm(chip, SE1_RNG_RCT);
  if (trng->in_window == 0) {
    trng->window_bit = bit;
    trng->ones = 0;
  }
  trng->ones = (uint16_t)(trng->ones + (bit == trng->window_bit));
  if (trng->ones > trng->worst)
    trng->worst = trng->ones;
  if (trng->ones >= APT_CUTOFF)
    alarm(chip, SE1_RNG_APT);
  trng->in_window = (uint16_t)((trng->in_window + 1) % APT_WINDOW);
}

int trng_raw(se1 *chip, uint8_t *out, size_t n) {
  TRY(chip->hal->random(chip->ctx, 1, out, n));
  for (size_t i = 0; i < n; i++)
    for (int bit = 7; bit >= 0; bit--)
      sample(chip, out[i] >> bit & 1);
  return SE1_OK;
}

int trng_startup(se1 *chip) {
  uint8_t raw[STARTUP_SAMPLES / 8];
  int result = trng_raw(chip, raw, sizeof raw);
  if (result == SE1_CUT)
    return result;
  if (result != SE1_OK)
    alarm(chip, SE1_RNG_STARTUP);
  if (chip->trng.state != SE1_RNG_SOUND)
    chip->trng.state = SE1_RNG_STARTUP;
  return SE1_OK;
}

int trng_random(se1 *chip, uint8_t *out, size_t n) {
  if (chip->trng.state != SE1_RNG_SOUND)
    return SE1_SW_RNG_FAILED;
  return chip->hal->random(chip->ctx, 0, out, n);
}

int do_trng_health(se1 *chip, const se1_command *command) {
  const se1_trng *trng = &chip->trng;
  uint8_t health[16] = {1};
  (void)command;
  health[1] = trng->state;
  put16(health + 2, RCT_CUTOFF);
  put16(health + 4, trng->longest);
  put16(health + 6, APT_CUTOFF);
  put16(health + 8, trng->worst);
  put16(health + 10, APT_WINDOW);
  put32(health + 12, trng->samples);
  reply_bytes(chip, health, sizeof health);
  return SE1_OK;
}
