// A captured host cut down to what the engine runs. The built-in host promises all that the engine has and nothing more
// (test/tables holds it to that), so what both promise is what a guest may believe.

import { fieldsOf, isSafe, maskOf } from "../../arm64/fields.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import { Feature } from "../vcpu-features.js";
import { isIdRegister } from "./captured.js";
import type { Host } from "./host.js";

/** Fields of CTR_EL0 that the engine decides; the others are the size of lines. */
const CTR_ENGINE = ["DIC", "IDC"];

/** What both promise, field by field. Bits without a name, and fields without an order, are the engine's. */
export function promisedByBoth(register: SysRegName, host: bigint, engine: bigint): bigint {
  const ofCtr = register === "CTR_EL0";
  if (!ofCtr && !isIdRegister(register)) return host;
  let value = ofCtr ? host : engine;
  for (const field of fieldsOf(register)) {
    if (ofCtr && !CTR_ENGINE.includes(field.name)) continue;
    const part = (whole: bigint) => Number((whole & maskOf(field)) >> BigInt(field.lsb));
    const chosen = isSafe(field, part(host), part(engine)) ? part(host) : part(engine);
    value = (value & ~maskOf(field)) | (BigInt(chosen) << BigInt(field.lsb));
  }
  return value;
}

/** The part of a host that the engine can play without promising what it lacks. */
export function withinEngine(host: Host, engine: Host): Host {
  const value = (register: SysRegName) => promisedByBoth(register, host.value(register), engine.value(register));
  const limit: Host["limit"] = (register, features, mte) =>
    promisedByBoth(register, host.limit(register, features, mte), engine.limit(register, features, mte));
  // What a feature of the vCPU gives its guest are instructions, except for the PMU.
  const features = host.features & (engine.features | Feature.pmuV3);
  return {
    ...host,
    value,
    limit,
    features,
    vectorLengths: (features & Feature.sve) === 0 ? 0 : host.vectorLengths & engine.vectorLengths,
    mte: host.mte && engine.mte,
    breakpoints: Math.min(host.breakpoints, engine.breakpoints),
    watchpoints: Math.min(host.watchpoints, engine.watchpoints),
    ipaBits: Math.min(host.ipaBits, engine.ipaBits),
  };
}
