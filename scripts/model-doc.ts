// Remakes the tables of docs/model.md from the model's own: node dist/scripts/model-doc.js

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { kernels } from "../lib/arm64/sysreg-row.js";
import { gicTable, gicVcpuTable } from "../lib/model/gic/layout.js";
import { vcpuLayout, vmLayout } from "../lib/model/layout.js";
import { switchesOf } from "../lib/model/profile.js";
import { todo } from "../lib/model/todo.js";

export const docFile = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs", "model.md");

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");

function layout(rows: readonly (readonly [name: string, count: number, what: string])[]): string {
  let next = 0;
  const lines = rows.map(([name, count, what]) => {
    const first = next;
    next += count;
    return [`0x${(first * 8).toString(16)}`, `\`${name}\``, String(count), what];
  });
  return table(["byte", "part", "cells", "what"], lines);
}

const shown = (value: unknown): string =>
  typeof value === "boolean" ? (value ? "yes" : "no") : `0x${(value as number | bigint).toString(16)}`;

function switches(): string {
  const all = kernels.map(switchesOf);
  const names = Object.keys(all[0]!) as (keyof (typeof all)[number])[];
  return table(
    ["switch", ...kernels],
    names.map((name) => [`\`${name}\``, ...all.map((of) => shown(of[name]))]),
  );
}

const parts: Readonly<Record<string, () => string>> = {
  vm: () => layout(vmLayout),
  vcpu: () => layout(vcpuLayout),
  gic: () => layout(gicTable),
  "gic-vcpu": () => layout(gicVcpuTable),
  switches,
  todo: () =>
    table(
      ["what", "meanwhile"],
      todo.map(({ what, answers }) => [what, answers]),
    ),
};

/** The text with its tables remade; they stand between comments that name them. */
export function remade(text: string): string {
  return text.replace(/(<!-- ([\w-]+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, open: string, name: string, end: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`docs/model.md: no table is called ${name}`);
    return `${open}\n${part()}\n\n${end}`;
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  writeFileSync(docFile, remade(readFileSync(docFile, "utf8")));
