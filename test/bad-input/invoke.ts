// Calls a public member by its name, as the table of members says it is called well.

import { answerOf } from "../support/refusal.js";
import type { Members, Subject } from "./members.js";

// Symbol.dispose may be a polyfill of another description.
export const nameOf = (key: string | symbol): string => (typeof key === "symbol" ? "[Symbol.dispose]" : key);
const keyOf = (name: string): string | symbol => (name === "[Symbol.dispose]" ? Symbol.dispose : name);

/** Calls a method, sets through a setter, or reads. */
export function invoke(target: object, name: string, args: readonly unknown[]): unknown {
  const key = keyOf(name);
  const descriptor =
    Object.getOwnPropertyDescriptor(target, key) ?? Object.getOwnPropertyDescriptor(Object.getPrototypeOf(target), key);
  if (descriptor?.set !== undefined && args.length > 0) return descriptor.set.call(target, args[0]);
  if (descriptor?.get !== undefined) return descriptor.get.call(target);
  if (descriptor === undefined) throw new Error(`there is no ${name}`);
  return (descriptor.value as (...all: unknown[]) => unknown).apply(target, [...args]);
}

/** What the kernel says to a good call of a member: "OK", or an errno. */
export function answerTo(target: object, name: string, members: Members, subject: Subject): Promise<string> {
  return answerOf(async () => {
    const result = await invoke(target, name, members[name]?.good?.(subject) ?? []);
    if (name === "dirtyPages") [...(result as Iterable<number>)]; // it asks when it is asked
    if (typeof result === "object" && result !== null && Symbol.dispose in result)
      (result as Disposable)[Symbol.dispose]();
  });
}

/** The answers to all members but those that end something or wait, in the order of the table. */
export async function sweep(target: object, members: Members, subject: Subject): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const name of Object.keys(members)) {
    if (["close", "[Symbol.dispose]", "wait", "remove"].includes(name)) continue;
    answers[name] = await answerTo(target, name, members, subject);
  }
  return answers;
}
