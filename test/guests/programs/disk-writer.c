// Writes to a virtio disk (VIRTIO 1.2, 4.2 and 5.2) what can be told apart, flushes it, and says so: sector n has n in all
// its words. The first word of sector 0 says how many; 0: a few. A disk that is read-only refuses, and says that it is.
#include "guest.h"

#define SLOTS 0x0a000000ul
enum { SLOT_BYTES = 0x200, SLOT_COUNT = 32, BLOCK_DEVICE = 2 };
enum {
  MAGIC = 0x000,
  VERSION = 0x004,
  DEVICE_ID = 0x008,
  DEVICE_FEATURES = 0x010,
  DEVICE_FEATURES_SEL = 0x014,
  DRIVER_FEATURES = 0x020,
  DRIVER_FEATURES_SEL = 0x024,
  QUEUE_SEL = 0x030,
  QUEUE_NUM = 0x038,
  QUEUE_READY = 0x044,
  QUEUE_NOTIFY = 0x050,
  STATUS = 0x070,
  QUEUE_DESC = 0x080,
  QUEUE_DRIVER = 0x090,
  QUEUE_DEVICE = 0x0a0,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { F_RO = 5, F_FLUSH = 9, F_VERSION_1 = 32 };
enum { READ = 0, WRITE = 1, FLUSH = 4 };
enum { QUEUE_SIZE = 4, SECTOR = 512, A_FEW = 16 };
enum { DESC_NEXT = 1, DESC_WRITE = 2 };

static struct {
  uint64_t address;
  uint32_t bytes;
  uint16_t flags, next;
} descriptors[QUEUE_SIZE] __attribute__((aligned(16)));
static volatile struct {
  uint16_t flags, index, ring[QUEUE_SIZE], event;
} available __attribute__((aligned(4)));
static volatile struct {
  uint16_t flags, index;
  struct {
    uint32_t id, bytes;
  } ring[QUEUE_SIZE];
} used __attribute__((aligned(4)));
static struct {
  uint32_t type, reserved;
  uint64_t sector;
} header __attribute__((aligned(16)));
static uint64_t sector[SECTOR / 8];
static volatile uint8_t outcome;
static volatile uint32_t *device;

static uint32_t get(unsigned at) { return device[at / 4]; }
static void set(unsigned at, uint32_t value) { device[at / 4] = value; }
static void set_address(unsigned at, volatile void *address) {
  set(at, (uint32_t)(uint64_t)address);
  set(at + 4, (uint32_t)((uint64_t)address >> 32));
}

static int find(void) {
  for (unsigned n = 0; n < SLOT_COUNT; n++) {
    device = (volatile uint32_t *)(SLOTS + n * SLOT_BYTES);
    if (get(MAGIC) == 0x74726976 && get(VERSION) == 2 && get(DEVICE_ID) == BLOCK_DEVICE) return 1;
  }
  return 0;
}

// Gives the features that the device offers.
static uint64_t begin(void) {
  set(STATUS, 0);
  set(STATUS, ACKNOWLEDGE | DRIVER);
  set(DEVICE_FEATURES_SEL, 0);
  uint64_t features = get(DEVICE_FEATURES);
  set(DEVICE_FEATURES_SEL, 1);
  features |= (uint64_t)get(DEVICE_FEATURES) << 32;
  uint64_t wanted = features & (1ul << F_RO | 1ul << F_FLUSH | 1ul << F_VERSION_1);
  set(DRIVER_FEATURES_SEL, 0);
  set(DRIVER_FEATURES, (uint32_t)wanted);
  set(DRIVER_FEATURES_SEL, 1);
  set(DRIVER_FEATURES, (uint32_t)(wanted >> 32));
  set(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  if ((get(STATUS) & FEATURES_OK) == 0) power_off(2);
  set(QUEUE_SEL, 0);
  set(QUEUE_NUM, QUEUE_SIZE);
  set_address(QUEUE_DESC, descriptors);
  set_address(QUEUE_DRIVER, &available);
  set_address(QUEUE_DEVICE, &used);
  set(QUEUE_READY, 1);
  set(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  return features;
}

// One request, and its status.
static uint8_t request(uint32_t type, uint64_t at) {
  header.type = type;
  header.sector = at;
  outcome = 0xff;
  unsigned n = 0;
  descriptors[n].address = (uint64_t)&header;
  descriptors[n].bytes = sizeof header;
  descriptors[n].flags = DESC_NEXT;
  descriptors[n].next = 1;
  n++;
  if (type != FLUSH) {
    descriptors[n].address = (uint64_t)sector;
    descriptors[n].bytes = SECTOR;
    descriptors[n].flags = DESC_NEXT | (type == READ ? DESC_WRITE : 0);
    descriptors[n].next = 2;
    n++;
  }
  descriptors[n].address = (uint64_t)&outcome;
  descriptors[n].bytes = 1;
  descriptors[n].flags = DESC_WRITE;
  uint16_t before = used.index;
  available.ring[available.index % QUEUE_SIZE] = 0;
  __asm__ volatile("dmb ish" ::: "memory");
  available.index++;
  __asm__ volatile("dmb ish" ::: "memory");
  set(QUEUE_NOTIFY, 0);
  while (used.index == before) __asm__ volatile("yield");
  __asm__ volatile("dmb ish" ::: "memory");
  return outcome;
}

int main(void) {
  if (!find()) {
    print("no disk\n");
    return 1;
  }
  uint64_t features = begin();
  print("flush is %s, %s\n", features >> F_FLUSH & 1 ? "offered" : "missing",
        features >> F_RO & 1 ? "read-only" : "writable");
  uint8_t status = request(READ, 0);
  uint64_t count = sector[0] == 0 ? A_FEW : sector[0];
  print("sector 0: status %u, %lu to write\n", status, count);
  for (uint64_t n = 1; n <= count; n++) {
    for (unsigned i = 0; i < SECTOR / 8; i++) sector[i] = n;
    uint8_t written = request(WRITE, n);
    uint8_t flushed = request(FLUSH, 0);
    print("%lu: written %u, flushed %u\n", n, written, flushed);
  }
  unsigned same = 0;
  for (uint64_t n = 1; n <= count; n++) {
    memset(sector, 0, sizeof sector);
    if (request(READ, n) != 0) continue;
    unsigned i = 0;
    while (i < SECTOR / 8 && sector[i] == n) i++;
    same += i == SECTOR / 8;
  }
  print("%u read back as written\n", same);
  return 0;
}
