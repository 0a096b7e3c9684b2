// Holds the import statements of lib/ against the layers. The rules are the table below; `npm run check` runs this.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface Layer {
  /** A folder (ends in "/") or a file below lib/, or "" for what no other fits. The longest that fits a file is its layer. */
  readonly of: string;
  /** What it may import below lib/, itself aside; folders end in "/". */
  readonly imports: readonly string[];
  /** Which of Node's modules it may import; "*" for any. */
  readonly node: readonly string[];
  /** Only types: nothing of it is left when compiled. */
  readonly typesOnly?: true;
  readonly why: string;
}

const facts = ["arm64/", "uapi/", "backend.ts", "errors.ts", "capture-format.ts"];
/** The files of lib/ itself that have no layer of their own. */
const publicClasses = "";

export const layers: readonly Layer[] = [
  { of: "arm64/", imports: [], node: [], why: "facts about the architecture stand alone" },
  { of: "uapi/", imports: [], node: [], why: "facts about the kernel's interface stand alone" },
  { of: "backend.ts", imports: [], node: [], typesOnly: true, why: "the seam is types only" },
  {
    of: "capture-format.ts",
    imports: ["arm64/", "uapi/"],
    node: [],
    why: "the format of a file is a fact that its writer and its reader share",
  },
  { of: "errors.ts", imports: ["arm64/", "uapi/", "backend.ts"], node: [], why: "errors know facts only" },
  { of: "model/a64/", imports: [], node: [], why: "instructions know Machine only, no engine and no CPU state" },
  {
    of: "model/",
    imports: facts,
    node: ["node:fs", "node:os", "node:v8", "node:worker_threads"],
    why: "the model knows the facts, not the addon and not the public classes",
  },
  {
    of: "native.ts",
    imports: facts,
    node: ["node:fs", "node:module", "node:path", "node:url", "node:worker_threads"],
    why: "the addon loader knows neither the model nor the public classes",
  },
  {
    of: "kvm.ts",
    imports: [...facts, publicClasses, "model/index.ts", "native.ts"],
    node: ["node:module"],
    why: "it alone knows both backends",
  },
  { of: "index.ts", imports: [...facts, publicClasses, "kvm.ts"], node: [], why: "it gathers the public names" },
  {
    of: "vmm/",
    imports: [...facts, publicClasses, "kvm.ts", "index.ts"],
    node: [
      ...["node:crypto", "node:events", "node:fs", "node:path", "node:stream", "node:util", "node:worker_threads"],
      "node:zlib",
    ],
    why: "a VMM uses what users have",
  },
  {
    of: "cli/",
    imports: [...facts, publicClasses, "kvm.ts", "index.ts", "vmm/"],
    node: ["*"],
    why: "the program uses what users have",
  },
  { of: publicClasses, imports: facts, node: [], why: "public classes see the seam, never a backend" },
];

/** What importing the package must not load: it comes in when first used. */
export const lazy = { from: "index.ts", not: ["model/", "native.ts"] } as const;

export interface Import {
  readonly target: string;
  /** "type" leaves nothing when compiled, "lazy" loads when executed. */
  readonly kind: "value" | "type" | "lazy";
}

export interface SourceFile {
  /** Below lib/, with "/". */
  readonly path: string;
  readonly text: string;
}

const withoutComments = (text: string): string =>
  text.replace(/("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/.*|\/\*[\s\S]*?\*\//g, "$1");

/** Import and export statements, import(), require() and import types. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  const statement = /^[ \t]*(import|export)\b(\s+type\b)?(?:[^"';=(]*?\bfrom)?\s*"([^"]+)"/gm;
  for (const [, , type, target] of code.matchAll(statement)) {
    if (target) found.push({ target, kind: type ? "type" : "value" });
  }
  // `load` is what kvm.ts calls its require.
  for (const [, before, target] of code.matchAll(/(\btypeof\s+import|\bimport|\brequire|\bload)\(\s*"([^"]+)"\s*\)/g)) {
    if (target) found.push({ target, kind: before?.startsWith("typeof") ? "type" : "lazy" });
  }
  return found;
}

function fits(path: string, place: string): boolean {
  if (place === publicClasses) return layerOf(path).of === publicClasses;
  return place.endsWith("/") ? path.startsWith(place) : path === place;
}

export function layerOf(path: string): Layer {
  const named = layers.filter(({ of }) => of !== publicClasses && fits(path, of));
  const [longest] = named.sort((a, b) => b.of.length - a.of.length);
  return longest ?? layers.find(({ of }) => of === publicClasses)!;
}

/** Below lib/, as a source file: "./vm.js" in "kvm.ts" is "vm.ts". */
const resolved = (from: string, target: string): string =>
  posix.join(posix.dirname(from), target).replace(/\.js$/, ".ts");

/** Every breach of the rules, a sentence each. */
export function breaches(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  const valueImports = new Map<string, string[]>();
  for (const { path, text } of files) {
    const layer = layerOf(path);
    const complain = (what: string): number => found.push(`lib/${path} ${what}: ${layer.why}`);
    const imports = importsOf(text);
    for (const { target, kind } of imports) {
      if (target.startsWith("node:")) {
        if (!layer.node.includes("*") && !layer.node.includes(target)) complain(`imports ${target}`);
      } else if (!target.startsWith(".")) {
        complain(`imports the package ${target}, and this one has no dependencies`);
      } else {
        const file = resolved(path, target);
        const own = fits(file, layer.of);
        if (!own && !layer.imports.some((place) => fits(file, place))) complain(`imports lib/${file}`);
        if (kind === "value") valueImports.set(path, [...(valueImports.get(path) ?? []), file]);
      }
    }
    if (layer.typesOnly && hasValues(text)) complain("has more than types");
  }
  return [...found, ...eagerPaths(valueImports)];
}

const hasValues = (text: string): boolean =>
  /^(export\s+)?(default|const|let|var|function|async|class|enum|abstract)\b/m.test(withoutComments(text));

/** How what must be lazy is reached by value imports alone. */
function eagerPaths(valueImports: ReadonlyMap<string, readonly string[]>): string[] {
  const reachedFrom = new Map<string, string | null>([[lazy.from, null]]);
  for (const [path] of reachedFrom) {
    for (const file of valueImports.get(path) ?? []) if (!reachedFrom.has(file)) reachedFrom.set(file, path);
  }
  return [...reachedFrom.keys()]
    .filter((path) => lazy.not.some((place) => fits(path, place)))
    .filter((path) => !lazy.not.some((place) => fits(reachedFrom.get(path) ?? "", place)))
    .map((path) => {
      const chain = [path];
      for (let at = reachedFrom.get(path); at; at = reachedFrom.get(at)) chain.unshift(at);
      return `importing the package loads lib/${path} (${chain.join(" → ")}): backends are loaded when first used`;
    });
}

export function readLib(folder: string): SourceFile[] {
  return readdirSync(folder, { recursive: true })
    .map((path) => String(path).replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({ path, text: readFileSync(join(folder, path), "utf8") }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const project = join(dirname(fileURLToPath(import.meta.url)), "../..");
  const found = breaches(readLib(join(project, "lib")));
  for (const breach of found) console.error(breach);
  if (found.length) {
    console.error(`${found.length} imports break the layers; scripts/check-layers.ts has the rules`);
    process.exitCode = 1;
  }
}
