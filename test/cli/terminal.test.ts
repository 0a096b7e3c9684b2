import assert from "node:assert/strict";
import { KeyFilter } from "../../lib/cli/terminal.js";

function typed(keys: string, listening = true) {
  const events: string[] = [];
  const guest = { listening, send: (bytes: Uint8Array) => void events.push(Buffer.from(bytes).toString("latin1")) };
  const quit = { escape: () => void events.push("escape!"), interrupt: () => void events.push("interrupt!") };
  const filter = new KeyFilter(guest, quit, (text) => void events.push(text.includes("ctrl-A x") ? "help!" : text));
  for (const key of keys) filter.type(Buffer.from(key, "latin1"));
  return events;
}

describe("keys that are typed to a guest", () => {
  it("go to it as they are", () => {
    assert.deepEqual(typed("ls\r\x1b"), ["l", "s", "\r", "\x1b"]);
  });

  it("end the machine by ctrl-A x, and send ctrl-A by ctrl-A a or ctrl-A twice", () => {
    assert.deepEqual(typed("a\x01xb"), ["a", "escape!", "b"]);
    assert.deepEqual(typed("\x01a\x01\x01x"), ["\x01", "\x01", "x"]);
    assert.deepEqual(typed("\x01h\x01?\x01zy"), ["help!", "help!", "y"]);
  });

  it("are an escape too when they come in one piece", () => {
    const sent: number[] = [];
    const guest = { listening: true, send: (bytes: Uint8Array) => void sent.push(...bytes) };
    let escaped = false;
    const quit = { escape: () => (escaped = true), interrupt: () => assert.fail() };

    new KeyFilter(guest, quit, () => {}).type(Buffer.from("ab\x01xc"));

    assert.deepEqual([Buffer.from(sent).toString(), escaped], ["abc", true]);
  });

  it("interrupt the machine by ctrl-C when the guest does not read, and the guest when it does", () => {
    assert.deepEqual(typed("\x03"), ["\x03"]);
    assert.deepEqual(typed("\x03", false), ["interrupt!"]);
  });
});
