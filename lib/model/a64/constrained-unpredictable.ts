// Where the manual leaves a choice (CONSTRAINED UNPREDICTABLE, or bits that should be zero or one), what this CPU does.
// The judges run all of these; what they cannot agree on stands in test/a64/qemu/unjudged.ts.

export interface Choice {
  readonly what: string;
  readonly does: string;
  /** Of DDI 0487: K1.2 is the appendix of AArch64's CONSTRAINED UNPREDICTABLE behaviour. */
  readonly section: string;
}

// biome-ignore format: table
export const choices: readonly Choice[] = [
  { what: "LDP, LDNP, LDPSW with Rt = Rt2",                does: "the first of the two loaded values stays",            section: "K1.2" },
  { what: "LDXP, LDAXP with Rt = Rt2",                     does: "the second of the two loaded values stays",           section: "K1.2" },
  { what: "load with write-back and Rn = Rt (or Rt2)",     does: "the written-back address stays",                      section: "K1.2" },
  { what: "store with write-back and Rn = Rt (or Rt2)",    does: "stores the register as it was before",                section: "K1.2" },
  { what: "Store-Exclusive with Rs = Rt, Rs = Rn",         does: "uses what the registers were, then writes the status", section: "K1.2" },
  { what: "Store-Exclusive of another size or address",    does: "fails with status 1, and opens the monitor",          section: "B2" },
  { what: "Rs and Rt2 of single exclusives and LDAR, STLR", does: "nobody looks",                                       section: "C6.2" },
  { what: "CRm of CFINV, AXFLAG, XAFLAG, SB not zero",     does: "UNDEFINED",                                           section: "C6.2" },
  { what: "Ra of SMULH, UMULH",                            does: "nobody looks",                                        section: "C6.2" },
  { what: "pair, or unaligned store, whose end faults",    does: "writes nothing",                                      section: "D1" },
  { what: "PSTATE bits that an illegal return makes UNKNOWN", does: "keep their values",                                section: "D1" },
];
