// Predecoded instructions. A page of code has 1024 records of 16 bytes, then one that leads to the next page, then what
// the page is made of. Pages of records are aligned to their size, so a record tells its instruction's place in the page.

export const RECORD = 16;
/** Offsets in a record: 16 bits of handler number, 16-bit operands from 2, the wide operand. */
export const WIDE = 8;
export const RECORDS = 1024;
/** Bytes of a page of records, and of its records. */
export const RECORD_PAGE = 0x8000;
export const RECORDS_END = RECORDS * RECORD;

/** Behind the records: the epoch in which the page was last compared with memory, and the page of memory. */
export const EPOCH = RECORDS_END + 16;
export const HOST = EPOCH + 4;
/** Not 0: there is more that was made of this page's code, and JavaScript must be told what changes. */
export const TOLD = EPOCH + 8;
/** The instructions that the records were made of. */
export const WORDS = RECORDS_END + 0x1000;
/**
 * For the translator, 16 bits for each record: how often a branch went there; where a region begins, the handler of the
 * instruction, and the region's place in the table.
 */
export const HEAT = WORDS + 0x1000;
export const BENEATH = HEAT + 2 * RECORDS;
export const SLOT = BENEATH + 2 * RECORDS;

/** Handlers that no shape has. */
export const Handler = {
  /** The record is not made yet. */
  decode: 0,
  /** The evaluator does it. */
  step: 1,
  /** The next page. */
  pageEnd: 2,
  /** A region of translated code begins here. */
  region: 3,
  first: 4,
} as const;

/** What the interpreter and JavaScript tell each other: offsets in 32-bit words from the block's begin. */
export const Block = {
  /** Instructions that may still be executed. */
  left: 0,
  /** Where the tables of translations are: of this mode, and of unprivileged accesses. */
  reads: 1,
  writes: 2,
  fetches: 3,
  userReads: 4,
  userWrites: 5,
  epoch: 6,
  /** The bits of the attention word that matter. */
  attention: 7,
  /** 1: SIMD and floating point are trapped. */
  fpTrapped: 8,
  /** Where the table of pointers is; 0: none are signed. */
  pointers: 9,
  /** PSTATE.BTYPE after branches to registers, by their kind; 0 where the CPU has it not. */
  call: 10,
  jump: 11,
  veneer: 12,
  guardedJump: 13,
  /** What DC ZVA zeroes; 0: not here. */
  zeroBytes: 14,
  /** 1: a DSB has others to wait for. */
  invalidating: 15,
  /** Who filled the tables and the pages of records: an engine on some thread. */
  owner: 16,
  /** Where the chunks of memory for records are; 0: no more. */
  chunks: 17,
  /** PSTATE.NZCV between regions: its kind, and (64 bits) its operands. */
  flagsKind: 96,
  flagsA: 98,
  flagsB: 100,
  /** Where the table of pointers is, always. */
  authentication: 102,
  /** The lock of 128-bit accesses; 0: there is none. */
  pairLock: 103,
  /** What a call of JavaScript is given, or gives: 64 bits. */
  operand: 104,
  /** PSTATE.BTYPE after a branch to a register that a region did, if what is left is still this. */
  btype: 106,
  btypeLeft: 107,
  /** After so many branches to a place a region is wanted there: at most 16 bits. */
  hot: 108,
  words: 112,
} as const;

/** Room for so many chunks. */
export const MOST_CHUNKS = Block.flagsKind - Block.chunks;
