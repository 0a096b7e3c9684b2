// The report of one test run, on whichever machine: one line of JSON for each test, and a last one that says that the
// report is whole.

/** What happened to one test. `titles`: those of its suites, outermost first, and its own. */
export type TestEvent =
  | { readonly kind: "pass"; readonly titles: readonly string[]; readonly ms: number }
  | { readonly kind: "fail"; readonly titles: readonly string[]; readonly ms: number; readonly error: string }
  | { readonly kind: "skip"; readonly titles: readonly string[]; readonly reason: string };

export type ReportLine = TestEvent | { readonly kind: "end"; readonly tests: number };

/** The environment variable that names the file which the reporter adds its lines to. */
export const reportVariable = "KVM_ARM64_REPORT";

export const noReason = "no reason given";

export interface Failure {
  readonly title: string;
  readonly error: string;
}

export interface Skip {
  readonly title: string;
  readonly reason: string;
}

/** A leg: the tests of one machine. */
export interface LegResult {
  readonly name: string;
  readonly passed: number;
  readonly failures: readonly Failure[];
  readonly skips: readonly Skip[];
  readonly seconds: number;
  /** Nothing failed but the test runner itself, which died before its report was whole. */
  readonly died?: true;
}

/** Null for what is no line of a report: the port is open to whatever runs there. */
function parseLine(text: string): ReportLine | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const joined = (titles: readonly string[]): string => titles.join(" › ");

/** Takes a report line by line, prints it suite by suite, and adds it up. */
export class Tally {
  #passed = 0;
  readonly #failures: Failure[] = [];
  readonly #skips: Skip[] = [];
  #whole = false;
  /** The outermost suite that is being printed, and what it came to so far. */
  #suite = { title: "", passed: 0, skipped: 0, failed: 0 };
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  line(text: string): void {
    const event = parseLine(text);
    if (!event) {
      this.fail("the report", `has a line that is none: ${text}`);
    } else if (event.kind === "end") {
      this.#endSuite();
      const seen = this.#passed + this.#failures.length + this.#skips.length;
      this.#whole = event.tests === seen;
    } else {
      this.#take(event);
    }
  }

  /** Something that went wrong beside the tests. */
  fail(title: string, error: string): void {
    this.#failures.push({ title, error });
    this.#print(`  ✖ ${title}: ${error}`);
  }

  /** `exitStatus`: of the test runner; null when it ended without one. */
  result(name: string, seconds: number, exitStatus: number | null): LegResult {
    this.#endSuite();
    const died = !this.#whole && this.#failures.length === 0;
    if (!this.#whole) {
      this.fail(name, `the run broke off after ${this.#passed + this.#failures.length + this.#skips.length} tests`);
    } else if (exitStatus !== 0 && this.#failures.length === 0) {
      this.fail(name, `all tests reported, but the test runner ended with status ${exitStatus}`);
    }
    const result = { name, passed: this.#passed, failures: this.#failures, skips: this.#skips, seconds };
    return died ? { ...result, died } : result;
  }

  #take(event: TestEvent): void {
    const [suite = ""] = event.titles;
    if (suite !== this.#suite.title) {
      this.#endSuite();
      this.#suite = { title: suite, passed: 0, skipped: 0, failed: 0 };
    }
    const title = joined(event.titles);
    if (event.kind === "pass") {
      this.#passed++;
      this.#suite.passed++;
    } else if (event.kind === "skip") {
      this.#skips.push({ title, reason: event.reason });
      this.#suite.skipped++;
    } else {
      this.#failures.push({ title, error: event.error });
      this.#suite.failed++;
      this.#print(`  ✖ ${title}\n${indented(event.error, 6)}`);
    }
  }

  #endSuite(): void {
    const { title, passed, skipped, failed } = this.#suite;
    if (passed + skipped + failed === 0) return;
    const extras = [skipped ? `${skipped} skipped` : "", failed ? `${failed} failed` : ""].filter(Boolean);
    this.#print(`  ${failed ? "✖" : passed ? "✔" : "-"} ${title} (${[`${passed} ok`, ...extras].join(", ")})`);
    this.#suite = { title: "", passed: 0, skipped: 0, failed: 0 };
  }
}

const indented = (text: string, columns: number): string => text.replace(/^/gm, " ".repeat(columns));

/** A leg that did not run at all counts as one skip. */
export const legNotRun = (name: string, reason: string): LegResult => ({
  name,
  passed: 0,
  failures: [],
  skips: [{ title: "the whole leg", reason }],
  seconds: 0,
});

export const legFailed = (name: string, error: string): LegResult => ({
  name,
  passed: 0,
  failures: [{ title: "the whole leg", error }],
  skips: [],
  seconds: 0,
});

/** Prints every skip and failure by name, a line for each leg, and the sum; true when nothing failed. */
export function summarize(legs: readonly LegResult[], print: (line: string) => void): boolean {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, skips } of legs) {
    if (!skips.length) continue;
    print(`\n${name}: ${skips.length} skipped`);
    for (const { title, reason } of skips) print(`  - ${title}: ${reason}`);
  }
  for (const { name, failures } of legs) {
    if (!failures.length) continue;
    print(`\n${name}: ${failures.length} failed`);
    for (const { title, error } of failures) print(`  ✖ ${title}\n${indented(error, 6)}`);
  }
  print("");
  const width = Math.max(...legs.map(({ name }) => name.length));
  for (const { name, passed, failures, skips, seconds } of legs) {
    sum.passed += passed;
    sum.failed += failures.length;
    sum.skipped += skips.length;
    print(
      `${name.padEnd(width)}  ${passed} ok  ${failures.length} bad  ${skips.length} left out  ${seconds.toFixed(1)} s`,
    );
  }
  print(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  return sum.failed === 0 && sum.passed > 0;
}
