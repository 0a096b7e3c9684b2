// Talks to a guest over its console: waits for what it prints, and answers.
import type { BootMachine } from "../../lib/vmm/index.js";

export class Conversation {
  /** All that the guest printed. */
  transcript = "";
  #heard = 0;
  #look: () => void = () => {};
  readonly #machine: BootMachine;

  constructor(machine: BootMachine) {
    this.#machine = machine;
    machine.on("console", (bytes) => {
      this.transcript += Buffer.from(bytes).toString("latin1");
      this.#look();
    });
    machine.on("exit", () => this.#look());
  }

  /** Resolves when the guest has printed this, behind what was waited for before. */
  hear(wanted: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      this.#look = () => {
        const found = wanted.exec(this.transcript.slice(this.#heard));
        if (found === null) return;
        this.#heard += found.index + found[0].length;
        this.#look = () => {};
        resolve(found);
      };
      this.#look();
    });
  }

  say(text: string): void {
    this.#machine.send(text);
  }

  /** Runs a command in the guest's shell: what it prints and its status. */
  async command(line: string): Promise<{ readonly output: string; readonly status: number }> {
    // The shell's echo of the line has the words apart.
    this.say(`${line}; echo "@sta""tus $?"\n`);
    const [, output = "", status] = await this.hear(/\r?\n([\s\S]*?)@status (\d+)\r?\n[\s\S]*?\/ # /);
    return { output: output.replaceAll("\r", ""), status: Number(status) };
  }
}
