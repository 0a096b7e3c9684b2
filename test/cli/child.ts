// The command as its users start it: a child process.
import { spawn } from "node:child_process";
import { execArgv, execPath } from "node:process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly ended: Promise<Ended>;
  signal(name: NodeJS.Signals): void;
  closeStdout(): void;
  /** Resolves when the output has this in it. */
  printed(text: string): Promise<void>;
}

/** Starts `kvm-arm64` with these arguments, and with this process's V8 options. */
export function start(...args: string[]): Started {
  const child = spawn(execPath, [...execArgv, program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return {
    ended: new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => resolve({ status, ...output }));
    }),
    signal: (name) => void child.kill(name),
    closeStdout: () => child.stdout.destroy(),
    printed: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!output.stdout.includes(text)) return;
          child.stdout.off("data", look);
          resolve();
        };
        child.stdout.on("data", look);
        look();
      }),
  };
}

export const kvmArm64 = (...args: string[]): Promise<Ended> => start(...args).ended;
