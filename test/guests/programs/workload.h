// The parts of the workload. Each returns a checksum and takes a seed, so that nothing can be computed ahead.
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "guest.h"

uint16_t crc16(uint16_t crc, const void *data, size_t bytes);
uint32_t crc32(uint32_t crc, const void *data, size_t bytes);
void sha256(uint8_t digest[32], const void *data, size_t bytes);

uint32_t list_work(uint32_t seed);
uint32_t matrix_work(uint32_t seed);
uint32_t state_work(uint32_t seed);
uint32_t record_work(uint32_t seed);

static inline uint32_t next_random(uint32_t *state) {
  uint32_t s = *state;
  s ^= s << 13;
  s ^= s >> 17;
  s ^= s << 5;
  return *state = s;
}

#endif
