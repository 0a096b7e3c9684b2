// What there is of A64 and who has judged it: node dist/scripts/a64-coverage.js [--list]
// Runs both judges for a short while where QEMU is installed.

import { parseArgs } from "node:util";
import { choices } from "../lib/model/a64/constrained-unpredictable.js";
import { a64 } from "../lib/model/a64/table.js";
import { fuzz } from "../test/a64/qemu/fuzz.js";
import { systemFuzz } from "../test/a64/qemu/system-fuzz.js";
import { whyNoSystemJudge } from "../test/a64/qemu/system-judge.js";
import { disagreements, onlyUnitTests, systemDisagreements } from "../test/a64/qemu/unjudged.js";
import { whyNoUserJudge } from "../test/a64/qemu/user-judge.js";

const { values } = parseArgs({ options: { list: { type: "boolean", default: false } } });

const done = a64.filter((row) => row.run !== null);
const todo = a64.filter((row) => row.run === null);
console.log(`${done.length} rows have a meaning, ${todo.length} are still to do`);
if (values.list) for (const row of todo) console.log(`  ${row.name} (${row.needs.join(", ")})`);

const judges = [
  { name: "user mode", why: whyNoUserJudge(), met: () => userMet() },
  { name: "system mode", why: whyNoSystemJudge(), met: () => systemFuzz(1, 5000).met },
];
const met = new Set<string>();
for (const { name, why, met: meet } of judges) {
  if (why !== null) {
    console.log(`QEMU's ${name} was not asked: ${why}`);
    continue;
  }
  const names = await meet();
  console.log(`QEMU's ${name} met ${names.size} rows`);
  for (const row of names) met.add(row);
}
const unmet = done.filter((row) => !met.has(row.name));
console.log(`never met by a judge: ${unmet.map((row) => row.name).join(", ") || "none"}`);
for (const [what, reason] of Object.entries(onlyUnitTests)) console.log(`only unit tests: ${what}: ${reason}`);
for (const { what, does, section } of choices) console.log(`a choice of ours (DDI 0487 ${section}): ${what}: ${does}`);
for (const { reason } of [...disagreements, ...systemDisagreements]) console.log(`known disagreement: ${reason}`);

async function userMet(): Promise<ReadonlySet<string>> {
  const { met: times } = await fuzz(1, 20_000);
  return new Set([...times].filter(([, n]) => n > 0).map(([row]) => row.name));
}
