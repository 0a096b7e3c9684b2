// A linked list that is sorted and searched, integer matrices, a scanner of numbers, records with strings: the kinds of
// code that CoreMark and Dhrystone are made of, written anew.
#include "workload.h"

// --- a list: merge sort, reverse, find ---

struct node {
  struct node *next;
  uint16_t key, value;
};

enum { NODES = 256 };
static struct node nodes[NODES];

static struct node *merge_sort(struct node *list, size_t n, int by_value) {
  if (n < 2) {
    if (list != NULL) list->next = NULL;
    return list;
  }
  struct node *second = list;
  for (size_t i = 0; i < n / 2; i++) second = second->next;
  struct node *b = merge_sort(second, n - n / 2, by_value);
  struct node *a = merge_sort(list, n / 2, by_value);
  struct node *head = NULL, **tail = &head;
  while (a != NULL || b != NULL) {
    int from_a = b == NULL || (a != NULL && (by_value ? a->value <= b->value : a->key <= b->key));
    struct node **from = from_a ? &a : &b;
    *tail = *from;
    tail = &(*tail)->next;
    *from = (*from)->next;
  }
  *tail = NULL;
  return head;
}

static struct node *reverse(struct node *list) {
  struct node *reversed = NULL;
  while (list != NULL) {
    struct node *next = list->next;
    list->next = reversed;
    reversed = list;
    list = next;
  }
  return reversed;
}

uint32_t list_work(uint32_t seed) {
  for (unsigned i = 0; i < NODES; i++) {
    nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : NULL;
    nodes[i].key = (uint16_t)i;
    nodes[i].value = (uint16_t)next_random(&seed);
  }
  struct node *list = merge_sort(nodes, NODES, 1);
  uint32_t sum = 0, place = 0;
  for (struct node *n = list; n != NULL; n = n->next) {
    sum += n->value * ++place;
    if (n->next != NULL && n->next->value < n->value) return 0;
  }
  list = reverse(list);
  for (unsigned i = 0; i < 32; i++) {
    uint16_t wanted = (uint16_t)(next_random(&seed) % NODES);
    for (struct node *n = list; n != NULL; n = n->next) {
      sum ^= n->value;
      if (n->key == wanted) break;
    }
  }
  list = merge_sort(list, NODES, 0);
  for (struct node *n = list; n != NULL; n = n->next) sum = sum * 31 + n->key;
  return sum;
}

// --- matrices of 16-bit numbers ---

enum { SIZE = 24 };
static int16_t a[SIZE][SIZE], b[SIZE][SIZE];
static int32_t product[SIZE][SIZE];

uint32_t matrix_work(uint32_t seed) {
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      a[i][j] = (int16_t)next_random(&seed);
      b[i][j] = (int16_t)next_random(&seed);
    }
  }
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      uint32_t sum = 0;
      for (int n = 0; n < SIZE; n++) sum += (uint32_t)(a[i][n] * b[n][j]);
      product[i][j] = (int32_t)sum;
    }
  }
  uint32_t sum = 0;
  int64_t wide = 0;
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      sum = (sum << 1 | sum >> 31) ^ (uint32_t)product[i][j];
      wide += (int64_t)product[i][j] * product[j][i];
    }
  }
  // Division too: integers of all sizes.
  return sum ^ (uint32_t)(wide / 1000003) ^ (uint32_t)((uint64_t)wide % 65521);
}

// --- a state machine: which words of a text are numbers ---

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER, INVALID, STATES };

static enum state step(enum state state, char c) {
  int digit = c >= '0' && c <= '9';
  switch (state) {
    case START:
      if (c == '+' || c == '-') return SIGN;
      if (c == '.') return POINT;
      return digit ? INTEGER : INVALID;
    case SIGN:
      if (c == '.') return POINT;
      return digit ? INTEGER : INVALID;
    case INTEGER:
      if (c == '.') return FRACTION;
      if (c == 'e' || c == 'E') return EXPONENT;
      return digit ? INTEGER : INVALID;
    case POINT:
      return digit ? FRACTION : INVALID;
    case FRACTION:
      if (c == 'e' || c == 'E') return EXPONENT;
      return digit ? FRACTION : INVALID;
    case EXPONENT:
      if (c == '+' || c == '-') return EXPONENT_SIGN;
      return digit ? POWER : INVALID;
    case EXPONENT_SIGN:
    case POWER:
      return digit ? POWER : INVALID;
    default:
      return INVALID;
  }
}

uint32_t state_work(uint32_t seed) {
  static const char *const words[] = {"5012",  "-874",   "+122.5", ".5",    "35.54400", "1.0e+20", "-5.5e-7",
                                      "T0.3a", "1.1.1",  "e12",    "7e",    "-",        "99e+",    "0"};
  uint32_t ends[STATES] = {0};
  uint32_t steps = 0;
  for (int i = 0; i < 400; i++) {
    enum state state = START;
    for (const char *c = words[next_random(&seed) % (sizeof words / sizeof words[0])]; *c != 0; c++) {
      state = step(state, *c);
      steps++;
    }
    ends[state]++;
  }
  return crc32(steps, ends, sizeof ends);
}

// --- records, strings, calls through pointers ---

struct record {
  struct record *other;
  int64_t number;
  uint8_t kind;
  char text[31];
};

static size_t length(const char *s) {
  size_t n = 0;
  while (s[n] != 0) n++;
  return n;
}

static int64_t twice(int64_t v) { return v * 2; }
static int64_t less_seven(int64_t v) { return v - 7; }
static int64_t half(int64_t v) { return v / 2; }
static int64_t (*const operations[])(int64_t) = {twice, less_seven, half};

__attribute__((noinline)) static void advance(struct record *r) {
  *r->other = *r;
  r->other->other = r;
  r->other->number = operations[r->kind % 3](r->number) + (int64_t)length(r->text);
  r->other->kind = (uint8_t)(r->kind + 1);
  r->other->text[r->kind % 26] ^= 0x20;
}

uint32_t record_work(uint32_t seed) {
  struct record one = {.number = (int32_t)seed, .text = "abcdefghijklmnopqrstuvwxyz"};
  struct record two = {0};
  one.other = &two;
  uint32_t sum = 0;
  for (int i = 0; i < 200; i++) {
    struct record *r = i & 1 ? &two : &one;
    advance(r);
    sum += (uint32_t)memcmp(one.text, two.text, sizeof one.text) + (uint32_t)r->other->number;
    sum = sum << 3 | sum >> 29;
  }
  return sum ^ crc16(0, one.text, sizeof one.text);
}
