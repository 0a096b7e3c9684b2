// Compiled code of the kinds that programs are made of, checked against published answers and against itself: the
// checksums of a run depend on ITERATIONS only. What CoreMark and Dhrystone measure, in code of our own.
#include "workload.h"

#ifndef ITERATIONS
#define ITERATIONS 20
#endif

static int failures;

static void check(const char *what, uint64_t got, uint64_t wanted) {
  print("%s: %08lx%s\n", what, got, got == wanted ? "" : " is wrong");
  failures += got != wanted;
}

static uint32_t fold(const uint8_t digest[32]) {
  return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
}

static uint8_t buffer[1024];

int main(void) {
  uint8_t digest[32];
  // The check values that the catalogues of CRCs and FIPS 180-4's examples give.
  check("CRC-16/ARC of 123456789", crc16(0, "123456789", 9), 0xbb3d);
  check("CRC-32 of 123456789", crc32(0, "123456789", 9), 0xcbf43926);
  sha256(digest, "abc", 3);
  check("SHA-256 of abc", fold(digest), 0xba7816bf);
  sha256(digest, "", 0);
  check("SHA-256 of nothing", fold(digest), 0xe3b0c442);
  sha256(digest, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
  check("SHA-256 of 448 bits", fold(digest), 0x248d6a61);

  uint32_t sums[6] = {0};
  uint32_t seed = 0x2545f491;
  for (uint32_t i = 0; i < ITERATIONS; i++) {
    uint32_t s = next_random(&seed);
    sums[0] = crc32(sums[0], &(uint32_t){list_work(s)}, 4);
    sums[1] = crc32(sums[1], &(uint32_t){matrix_work(s)}, 4);
    sums[2] = crc32(sums[2], &(uint32_t){state_work(s)}, 4);
    sums[3] = crc32(sums[3], &(uint32_t){record_work(s)}, 4);
    for (size_t n = 0; n < sizeof buffer; n++) buffer[n] = (uint8_t)next_random(&s);
    sums[4] = crc16((uint16_t)sums[4], buffer, sizeof buffer);
    sha256(digest, buffer, sizeof buffer);
    sums[5] = crc32(sums[5], digest, sizeof digest);
  }
  static const char *const names[] = {"list", "matrix", "state machine", "records", "CRC-16", "SHA-256"};
  for (int i = 0; i < 6; i++) print("%s: %08x\n", names[i], sums[i]);
  print("%d iterations\n", ITERATIONS);
  return failures;
}
