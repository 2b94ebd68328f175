/** Runs all checks and suites and sums up; the last line is `N passed, N failed, N skipped`. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Full titles of the tests of one suite. */
export interface SuiteResult {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** A suite that takes longer hangs: it is ended and counted as a failure. */
const SUITE_MINUTES_MAX = 30;

const PIPES_MS_MAX = 5_000;

/** The commands of `npm run check:NAME`, as package.json has them. */
const COMMANDS = (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  }
).scripts;

interface Step {
  readonly name: string;
  readonly argv: readonly string[];
  /** Where mocha writes what came of each test; null for a check. */
  readonly output: string | null;
}

/** Real batch systems: after everything else of their lane. */
const BATCH_SYSTEM_TESTS = systemTests("bare-node", "batch-systems", "submissions", "two-sites");
/**
 * These share nothing with other tests, above all not podman's one store of images; in two lists that take about equally long.
 * A new file belongs to neither: it runs in the lane of what shares that store.
 */
const APART_TESTS = [
  systemTests(
    "causes",
    "checkpoints",
    "faults-disk",
    "faults-eviction",
    "faults-harvester",
    "faults-kill",
    "faults-partition",
    "faults-points",
    "faults-zombie",
    "founding-document",
    "kill-server",
    "steering-program",
  ),
  systemTests(
    "backup",
    "cli",
    "journal-faults",
    "payload-output",
    "phpo",
    "point-files",
    "sandbox",
    "search",
    "secret-command",
    "segments",
    "server-storage",
    "steering-failures",
    "up",
  ),
] as const;

function systemTests(...names: string[]): string[] {
  return names.map((name) => `test/system/${name}.test.ts`);
}

/** Suites that mostly wait for processes, with deadlines: what computes leaves them the processor. */
const WAITING = ["contract", "system", "browser"];

const running = new Set<ChildProcess>();
let isStopped = false;

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      isStopped = true;
      for (const child of running) stop(child, "SIGTERM");
      process.exitCode = 130;
    });
  }
  // A file may break a rule because of types in another one, which its own entry does not know: continuous integration looks afresh.
  if ((process.env["CI"] ?? "") !== "")
    rmSync(join(root, ".cache"), { recursive: true, force: true });
  const directory = mkdtempSync(join(tmpdir(), "hyperpilot-tests-"));
  const results: SuiteResult[] = [];
  let suites = 0;
  try {
    const apart = new Set([...APART_TESTS.flat(), ...BATCH_SYSTEM_TESTS]);
    const images = filesOf("system").filter((file) => !apart.has(file));
    const [first, second] = APART_TESTS;
    // What computes takes what those that wait leave of the processor.
    await Promise.all([
      runLane(
        [check("types"), check("lint"), check("format"), suite("unit"), suite("simulation")],
        results,
      ),
      runLane([suite("system", first)], results),
      runLane([suite("contract"), suite("system", images), suite("browser")], results),
      runLane([suite("system", second), suite("system", BATCH_SYSTEM_TESTS)], results),
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (isStopped) results.push({ passed: [], failed: ["stopped before the end"], skipped: [] });
  sumUp(results);

  function suite(name: string, files = filesOf(name)): Step {
    suites += 1;
    const output = join(directory, `${suites}.json`);
    const reporter = ["--reporter", "./scripts/test-reporter.ts"];
    const options = ["--reporter-option", `output=${output}`];
    const argv = ["node_modules/mocha/bin/mocha.js", ...reporter, ...options, ...files];
    return { name, argv: files.length === 0 ? [] : argv, output };
  }
}

function check(name: "types" | "lint" | "format"): Step {
  const [program = "", ...words] = (COMMANDS[`check:${name}`] ?? "").split(" ");
  return { name, argv: [join("node_modules/.bin", program), ...words], output: null };
}

/** One step after the other; all of them, whatever fails. */
async function runLane(steps: readonly Step[], results: SuiteResult[]): Promise<void> {
  for (const step of steps) {
    if (isStopped || step.argv.length === 0) continue;
    const beganMs = performance.now();
    const { exitCode, text } = await run(step);
    const seconds = Math.round((performance.now() - beganMs) / 1000);
    console.log(`\n== ${step.name} (${seconds} s)\n${text}`);
    results.push(resultOf(step, exitCode));
  }
}

function resultOf({ name, output }: Step, exitCode: number | null): SuiteResult {
  if (output === null) {
    const title = `check: ${name}`;
    return exitCode === 0
      ? { passed: [title], failed: [], skipped: [] }
      : { passed: [], failed: [title], skipped: [] };
  }
  const crashed = `suite ${name} crashed (exit code ${String(exitCode)})`;
  if (!existsSync(output)) return { passed: [], failed: [crashed], skipped: [] };
  const result = JSON.parse(readFileSync(output, "utf8")) as SuiteResult;
  // Mocha exits with the number of failures: an exit code without one is a crash or a hang.
  return exitCode === 0 || result.failed.length > 0 ? result : { ...result, failed: [crashed] };
}

function filesOf(suite: string): string[] {
  const folder = join("test", suite);
  const all = existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    : [];
  const files = all.filter((name) => name.endsWith(".test.ts")).map((name) => join(folder, name));
  return suite === "unit" ? ["test/architecture.test.ts", ...files.sort()] : files.sort();
}

/** The exit code, null when a signal ended the process, and what it wrote. */
function run({ name, argv }: Step): Promise<{ readonly exitCode: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that what a suite started ends with it.
    const child = spawn(process.execPath, argv, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(child);
    if (!WAITING.includes(name)) setPriority(child.pid!, constants.priority.PRIORITY_LOW);
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => void chunks.push(chunk));
    const timer = setTimeout(() => {
      chunks.push(Buffer.from(`\nended: ran longer than ${SUITE_MINUTES_MAX} minutes\n`));
      stop(child, "SIGKILL");
    }, SUITE_MINUTES_MAX * 60_000);
    child.on("error", reject);
    child.on("exit", (exitCode) => {
      clearTimeout(timer);
      running.delete(child);
      stop(child, "SIGKILL");
      // What outlived the group may hold the pipes for ever.
      const left = setTimeout(end, PIPES_MS_MAX);
      child.on("close", end);
      function end(): void {
        clearTimeout(left);
        resolve({ exitCode, text: Buffer.concat(chunks).toString() });
      }
    });
  });
}

function stop(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended by itself in this moment.
  }
}

function sumUp(results: readonly SuiteResult[]): void {
  const passed = results.flatMap((result) => result.passed);
  const failed = results.flatMap((result) => result.failed);
  const skipped = results.flatMap((result) => result.skipped);
  console.log();
  for (const name of skipped) console.log(`skipped: ${name}`);
  for (const name of failed) console.log(`failed: ${name}`);
  console.log(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`);
  if (failed.length > 0) process.exitCode = 1;
}

await main();
