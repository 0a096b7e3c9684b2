// A capture taken of the model that plays a captured host is that capture again, as far as the model serves it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Combination, HostCapture } from "../../lib/capture-format.js";
import { captureHost } from "../../lib/cli/capture-host.js";
import { Kvm, packVcpuFeatures, type VcpuFeature } from "../../lib/index.js";
import { todoCaps } from "../../lib/model/kvm/caps.js";
import { served } from "../../lib/model/served.js";
import { captureNames, capturesFolder } from "../../scripts/captures.js";

const has = (...features: readonly VcpuFeature[]) => (packVcpuFeatures(features) & ~served.features) === 0;
const hasGics = served.gic.includes("v2") && served.gic.includes("v3");

/** What a part of the model brings, by paths: without it they are left out of both captures. */
const parts: readonly (readonly [there: boolean, path: RegExp])[] = [
  [has("pmu-v3"), /^(capabilities\.ARM_PMU_V3|init\.pmu-v3|pmuTypes|guest\.PMCEID[01]_EL0|vcpuAttributes\.group 0)\b/],
  [has("sve"), /^(capabilities\.ARM_SVE|init\.sve|vectorLengths)\b/],
  [has("ptrauth-address", "ptrauth-generic"), /^capabilities\.ARM_PTRAUTH_/],
  [has("el1-32bit"), /^(capabilities\.ARM_EL1_32BIT|init\.el1-32bit)$/],
  [has("el2"), /^(capabilities\.ARM_EL2(_E2H0)?|init\.el2(-e2h0)?)$/],
  [served.mte, /^capabilities\.ARM_MTE$/],
  [served.stolenTime, /^(capabilities\.STEAL_TIME$|vcpuAttributes\.group 2\b)/],
  [hasGics, /^capabilities\.IRQCHIP$/],
  [served.gic.includes("v2"), /^devices\.vgic-v2\b/],
  [served.gic.includes("v3"), /^devices\.vgic-v3\b/],
  [served.gic.includes("its"), /^devices\.vgic-its\b/],
  // A row of lib/model/todo.ts.
  [false, /^devices\.vfio\b/],
];

/** Differences that stay, each with its reason. Of those that no host shows any more the test complains. */
const differences: readonly (readonly [path: RegExp, why: string])[] = [
  [/^guest\.DBGAUTHSTATUS_EL1$/, "QEMU's CPUs lack the register, those that the model plays have it and read 0"],
];

const isServed = ({ features, mte }: Combination) => has(...features) && (served.mte || !mte);
const keyOf = ({ features, mte }: Combination) => [...features, ...(mte ? ["mte"] : [])].join(" ") || "plain";

const readCapture = (name: string): HostCapture => JSON.parse(readFileSync(`${capturesFolder}/${name}.json`, "utf8"));

/** Every value of a capture by its path; combinations by what they are made of. */
function flatten(host: HostCapture): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== "object" || value === null) found.set(path, value);
    else for (const [key, one] of Object.entries(value)) walk(one, path === "" ? key : `${path}.${key}`);
  };
  const { combinations, ...rest } = host;
  walk(rest, "");
  for (const one of combinations.filter(isServed)) {
    walk({ is: one.refused ?? "taken", ...one.registers }, `combinations.${keyOf(one)}`);
  }
  return found;
}

/** The same without what the model does not serve. */
function flat(host: HostCapture): Map<string, unknown> {
  const found = flatten(host);
  const missing = todoCaps.map(({ cap }) => `capabilities.${cap}`);
  for (const path of found.keys()) {
    if (missing.includes(path) || parts.some(([there, what]) => !there && what.test(path))) found.delete(path);
  }
  return found;
}

describe("a capture of the model that impersonates", () => {
  const seen = new Set<RegExp>();

  for (const name of captureNames) {
    it(`${name} is that capture, as far as it is served`, () => {
      const captured = readCapture(name);
      const { note, taken, kernel } = captured;
      using kvm = Kvm.open({ backend: "model", model: { host: name, impersonate: true } });
      const again = captureHost(kvm, { note, taken, kernel });

      const [wanted, got] = [flat(captured), flat(again)];
      const paths = [...new Set([...wanted.keys(), ...got.keys()])];
      const different = paths.filter((path) => wanted.get(path) !== got.get(path));
      const unknown = different.filter((path) => {
        const known = differences.find(([what]) => what.test(path));
        if (known !== undefined) seen.add(known[0]);
        return known === undefined;
      });
      assert.deepEqual(
        unknown.map((path) => `${path}: ${String(got.get(path))}, not ${String(wanted.get(path))}`),
        [],
      );
      // The kernel's order.
      const registers = (host: HostCapture) => Object.keys(host.combinations[0]?.registers ?? {});
      assert.deepEqual(registers(again), registers(captured));
    }).timeout(60_000);
  }

  it("differs in nothing that is listed in vain", () => {
    assert.deepEqual(
      differences.filter(([path]) => !seen.has(path)).map(([path]) => String(path)),
      [],
    );
  });

  it("leaves out nothing that no host has", () => {
    const captures = captureNames.map((name) => [...flatten(readCapture(name)).keys()]);
    const idle = parts.filter(([, path]) => !captures.some((paths) => paths.some((one) => path.test(one))));
    assert.deepEqual(
      idle.map(([, path]) => String(path)),
      [],
    );
  });
});
