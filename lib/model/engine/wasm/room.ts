// The engine's room in the VM's memory, one for each vCPU: what generated code and JavaScript both look into.

import { PHYSICAL_PAGES, TABLES_BYTES } from "../memory.js";
import { CODE_PAGES_BYTES } from "./code-pages.js";
import { POINTER_TABLE_BYTES } from "./pointer-table.js";
import { Block } from "./record.js";
import { WALKS_BYTES } from "./walks.js";

const align = (bytes: number): number => (bytes + 63) & ~63;

/** Offsets in it, of its parts: the block (record.ts) comes first. */
const tables = align(Block.words * 4);
const pointers = tables + align(TABLES_BYTES);
const codePages = pointers + align(POINTER_TABLE_BYTES);
const walks = codePages + align(CODE_PAGES_BYTES);

export const Room = {
  tables,
  physicalPages: tables + PHYSICAL_PAGES,
  pointers,
  codePages,
  walks,
  bytes: walks + align(WALKS_BYTES),
} as const;
