/** Runs all checks and suites and sums up; the last line is `N passed, N failed, N skipped`. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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

const checks = [
  { name: "types", argv: ["node_modules/typescript/bin/tsc", "--noEmit"] },
  { name: "lint", argv: ["node_modules/eslint/bin/eslint.js", "."] },
  { name: "format", argv: ["node_modules/prettier/bin/prettier.cjs", "--check", "."] },
];
const suites = ["unit", "contract", "simulation", "system", "browser"];

let running: ChildProcess | null = null;

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      stopRunning("SIGTERM");
      process.exitCode = 130;
    });
  }
  const directory = mkdtempSync(join(tmpdir(), "hyperpilot-tests-"));
  const results: SuiteResult[] = [];
  try {
    for (const check of checks) if (!isStopped()) results.push(await runCheck(check));
    for (const suite of suites) if (!isStopped()) results.push(await runSuite(suite, directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (isStopped()) results.push({ passed: [], failed: ["stopped before the end"], skipped: [] });
  sumUp(results);
}

function isStopped(): boolean {
  return process.exitCode === 130;
}

async function runCheck(check: (typeof checks)[number]): Promise<SuiteResult> {
  console.log(`\n== ${check.name}`);
  const exitCode = await run(check.argv);
  const name = `check: ${check.name}`;
  return exitCode === 0
    ? { passed: [name], failed: [], skipped: [] }
    : { passed: [], failed: [name], skipped: [] };
}

async function runSuite(suite: string, directory: string): Promise<SuiteResult> {
  const files = filesOf(suite);
  if (files.length === 0) return { passed: [], failed: [], skipped: [] };
  console.log(`\n== ${suite}`);
  const output = join(directory, `${suite}.json`);
  const exitCode = await run([
    "node_modules/mocha/bin/mocha.js",
    "--reporter",
    "./scripts/test-reporter.ts",
    "--reporter-option",
    `output=${output}`,
    ...files,
  ]);
  const crashed = `suite ${suite} crashed (exit code ${String(exitCode)})`;
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

/** Resolves with the exit code, null when a signal ended the process. */
function run(argv: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that what a suite started ends with it.
    const child = spawn(process.execPath, argv, {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    });
    running = child;
    const timer = setTimeout(() => {
      console.error(`ended: ran longer than ${SUITE_MINUTES_MAX} minutes`);
      stopRunning("SIGKILL");
    }, SUITE_MINUTES_MAX * 60_000);
    child.on("error", reject);
    child.on("exit", (exitCode) => {
      clearTimeout(timer);
      running = null;
      resolve(exitCode);
    });
  });
}

function stopRunning(signal: NodeJS.Signals): void {
  if (running?.pid === undefined) return;
  try {
    process.kill(-running.pid, signal);
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
