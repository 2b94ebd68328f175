/** Compiles programs by having each start once: what V8 compiled then is kept beside its bundle (common/start-bundle.ts). */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeCacheFile } from "../common/start-bundle.ts";

const TIMEOUT_MS = 60_000;
/** The smallest search there is: its submission shows what a client does. */
const SEARCH = {
  steeringMethod: "random",
  searchSpaceFile: "space.json",
  evaluationContainer: "host:",
  evaluationExec: "true",
  outDS: "user.build.1",
};
/** Each goes on from what those before have compiled. */
const COMMAND_LINES = [
  ["submit", "--space", "space.json", "--exec", "true", "--method", "random"],
  ["task", "list"],
];
const SPACE = { x: { method: "uniform", dimension: { low: 0, high: 1 } } };

export interface Bundles {
  /** Directory of the build. */
  readonly out: string;
  /** Bundles of the commands `hyperpilot` and `phpo`, relative to it. */
  readonly main: string;
  readonly phpo: string;
  /** Puts a file into the build, complete or not at all. */
  readonly write: (path: string, contents: Uint8Array) => void;
}

interface Start {
  readonly bundle: string;
  readonly use: string;
  readonly words: readonly string[];
  /** What the program says when it is up; it is ended then. Without, it ends by itself. */
  readonly saysWhenUp?: string;
  /** Done while it is up. */
  readonly whileUp?: () => Promise<void>;
  readonly fails?: boolean;
}

/** Returns the files with compiled code; those that are there already are not made again. Throws when a program does not start. */
export async function compileAhead(bundles: Bundles): Promise<string[]> {
  const { out, main, phpo } = bundles;
  const uses = ["server", "harvester", "pilot", "commands"];
  const files = [...uses.map((use) => codeCacheFile(main, use)), codeCacheFile(phpo, "phpo")];
  if (files.every((file) => existsSync(join(out, file)))) return files;
  const directory = mkdtempSync(join(tmpdir(), "hyperpilot-build-"));
  const run = (start: Start): Promise<void> => compile(bundles, directory, start);
  try {
    writeFileSync(join(directory, "config.json"), JSON.stringify(SEARCH));
    writeFileSync(join(directory, "space.json"), JSON.stringify(SPACE));
    await run({
      bundle: main,
      use: "server",
      words: ["server", "--port", "0", "--local-queue"],
      saysWhenUp: '"listening"',
      whileUp: async () => {
        await run({
          bundle: main,
          use: "harvester",
          words: ["harvester"],
          saysWhenUp: '"connected"',
        });
        await run({ bundle: phpo, use: "phpo", words: ["--loadJson", "config.json"] });
        for (const words of COMMAND_LINES) await run({ bundle: main, use: "commands", words });
      },
    });
    await run({
      bundle: main,
      use: "pilot",
      words: ["pilot", "--boot", "none.json"],
      fails: true,
    });
    return files;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compile({ out, write }: Bundles, directory: string, start: Start): Promise<void> {
  const { bundle, use, words, saysWhenUp, whileUp, fails = false } = start;
  const compiled = join(directory, "compiled");
  const child = spawn(
    process.execPath,
    [programThatKeeps(out, directory, start, compiled), ...words],
    {
      cwd: directory,
      env: { PATH: process.env["PATH"], HOME: directory, HYPERPILOT_DATA: join(directory, "data") },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  try {
    const output: string[] = [];
    const ended = once(child, "close") as Promise<[exitCode: number | null]>;
    if (await isUp(child, output, saysWhenUp)) {
      await whileUp?.();
      child.kill("SIGTERM");
    }
    const [exitCode] = await ended;
    if ((exitCode === 0) === fails)
      throw new Error(`${words.join(" ")} ended with ${String(exitCode)}: ${output.join("")}`);
    write(codeCacheFile(bundle, use), readFileSync(compiled));
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

/** As the command itself (scripts/build.ts), but for the last line. */
function programThatKeeps(out: string, directory: string, start: Start, compiled: string): string {
  const file = join(directory, `${start.use}.cjs`);
  writeFileSync(
    file,
    `const { startBundle } = require(${JSON.stringify(join(out, "common/start-bundle.js"))});
const script = startBundle(${JSON.stringify(join(out, start.bundle))}, ${JSON.stringify(start.use)});
process.on("exit", () => require("node:fs").writeFileSync(${JSON.stringify(compiled)}, script.createCachedData()));
`,
  );
  return file;
}

/** True once the program has said so, false when it has ended. Takes its standard error until then and after it. */
function isUp(child: ChildProcess, output: string[], says: string | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      output.push(chunk.toString());
      if (says !== undefined && output.join("").includes(says)) resolve(true);
    });
    child.on("close", () => resolve(false));
  });
}
