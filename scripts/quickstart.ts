/** The search of quickstart: starts `hyperpilot up` in a temporary directory, runs examples/digits, stops everything again. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { PilotView, SubmitAnswer, TaskDetail } from "../protocol/rest.ts";

const root = realpathSync(dirname(dirname(fileURLToPath(import.meta.url))));
const cli = join(root, "dist", "client", "main.js");
const python = join(root, ".venv", "bin", "python3");
const base = mkdtempSync(join(tmpdir(), "hyperpilot-quickstart-"));
const data = join(base, "data");
const logFile = join(base, "up.log");

const START_SECONDS_MAX = 60;
const SEARCH_SECONDS_MAX = 600;
/** `up` gives its pilots this long to end; what is left after it is killed. */
const STOP_SECONDS_MAX = 60;
/** What a stopped pilot started ends on its own in this time. */
const LEFT_SECONDS_MAX = 5;

const asJson = process.argv.includes("--json");
const keep = process.argv.includes("--keep");
const abort = new AbortController();
let up: ChildProcess | null = null;

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => abort.abort(new Error(`stopped by ${signal}`)));
  }
  setTimeout(
    () => abort.abort(new Error(`not finished within ${SEARCH_SECONDS_MAX} seconds`)),
    SEARCH_SECONDS_MAX * 1_000,
  ).unref();
  let endLine = "";
  try {
    await startUp();
    endLine = await search();
  } catch (error) {
    process.exitCode = 1;
    const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
    console.error(
      `error: the quickstart did not finish: ${reason instanceof Error ? reason.message : String(reason)}`,
    );
    showLog();
  } finally {
    await stopUp();
    if (keep) console.error(`Kept: ${base}`);
    else rmSync(base, { recursive: true, force: true });
  }
  if (endLine !== "") console.log(endLine);
}

async function startUp(): Promise<void> {
  console.log("Starting hyperpilot up (server, harvester, pilot) in a temporary directory ...");
  const paths = readOnlyPaths().flatMap((path) => ["--readOnlyPath", path]);
  const log = openSync(logFile, "a", 0o600);
  // A process group of its own: Ctrl-C reaches this program only, which then ends `up` in order.
  const child = spawn(process.execPath, [cli, "up", "--data", data, "--port", "0", ...paths], {
    cwd: root,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  up = child;
  const deadline = performance.now() + START_SECONDS_MAX * 1_000;
  for (;;) {
    if (child.exitCode !== null)
      throw new Error(`hyperpilot up ended with exit code ${child.exitCode}`);
    if (existsSync(join(data, "access.json"))) return;
    if (performance.now() > deadline)
      throw new Error(`no server within ${START_SECONDS_MAX} seconds`);
    await delay(100, undefined, { signal: abort.signal });
  }
}

/** What evaluations see besides the system's own directories: the environment and, where it is elsewhere, its Python. */
function readOnlyPaths(): string[] {
  const prefix = execFileSync(python, ["-c", "import sys; print(sys.base_prefix)"], {
    encoding: "utf8",
  }).trim();
  const isSystem = ["/usr", "/opt"].some(
    (path) => prefix === path || prefix.startsWith(`${path}/`),
  );
  return [join(root, ".venv"), ...(isSystem ? [] : [realpathSync(prefix)])];
}

async function search(): Promise<string> {
  const startedMs = performance.now();
  const example = join(root, "examples", "digits");
  const submitted = await ask(
    ["submit", "--name", "digits", "--space", join(example, "space.json"), "--files", example]
      .concat([
        "--exec",
        `${shellQuoted(python)} train.py`,
        "--container",
        "host:",
        "--method",
        "tpe",
        "--seed",
        "7",
      ])
      .concat([
        "--maxPoints",
        "24",
        "--nParallelEvaluation",
        "4",
        "--cpus",
        "0.5",
        "--memory",
        "1GB",
      ]),
    SubmitAnswer,
  );
  const task = String(submitted.taskId);
  await run(["task", "watch", task], "inherit");
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  const detail = await ask(["task", "show", task], TaskDetail);
  const { state, best, points } = detail;
  const runtime = await runtimeUsed();
  if (state !== "finished" || best === null)
    throw new Error(`the search is ${state}: ${detail.reason}`);
  if (asJson) {
    const { taskId } = detail;
    return JSON.stringify({
      task: taskId,
      status: state,
      done: points.done,
      bestLoss: best.loss,
      runtime,
      seconds,
    });
  }
  const next = keep ? `${cli} up --data ${data}` : "./hyperpilot up";
  return `Best loss ${best.loss.toFixed(4)} at ${best.text} in ${seconds} s (sandbox: ${runtime}). Next: ${next}`;
}

/** The sandbox in which the pilot ran the evaluations; the pilot stays for a while after its last one. */
async function runtimeUsed(): Promise<string> {
  const answer = JSON.parse(await run(["site", "pilots", "--json"], "pipe")) as unknown;
  const [pilot] = z.object({ items: z.array(PilotView) }).parse(answer).items;
  const [runtime] = pilot?.capacity.runtimes ?? [];
  if (runtime === undefined) throw new Error("no pilot says which sandbox it used");
  return runtime;
}

async function ask<T>(argv: readonly string[], schema: z.ZodType<T>): Promise<T> {
  return z.object({ item: schema }).parse(JSON.parse(await run([...argv, "--json"], "pipe"))).item;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Runs one command of the client, resolves with its standard output. */
function run(argv: readonly string[], output: "pipe" | "inherit"): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...argv, "--data", data], {
      cwd: root,
      signal: abort.signal,
      stdio: ["ignore", output, "inherit"],
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => (text += part));
    child.on("error", reject);
    child.on("close", (exitCode) => {
      if (exitCode === 0) resolve(text);
      else
        reject(
          new Error(
            `hyperpilot ${argv.slice(0, 2).join(" ")} ended with exit code ${String(exitCode)}`,
          ),
        );
    });
  });
}

async function stopUp(): Promise<void> {
  const child = up;
  if (child === null) return;
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  if (isRunning()) child.kill("SIGTERM");
  const deadline = performance.now() + STOP_SECONDS_MAX * 1_000;
  while (isRunning() && performance.now() < deadline) await delay(50);
  if (isRunning()) child.kill("SIGKILL");
  const graceEnd = performance.now() + LEFT_SECONDS_MAX * 1_000;
  while (processesOf(data).length > 0 && performance.now() < graceEnd) await delay(100);
  for (const processId of processesOf(data)) {
    process.exitCode = 1;
    console.error(`error: process ${processId} was left behind, ended now`);
    endProcess(processId);
  }
}

function endProcess(processId: number): void {
  try {
    process.kill(processId, "SIGKILL");
  } catch {
    // It has ended in this moment.
  }
}

/** Processes that name the temporary directory in their command line: ours, whatever became of their parents. */
function processesOf(directory: string): number[] {
  if (!existsSync("/proc/self")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(directory);
      } catch {
        // It has ended in this moment.
        return false;
      }
    })
    .map(Number);
}

function showLog(): void {
  if (!existsSync(logFile)) return;
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-20);
  console.error(`The last lines of hyperpilot up:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

await main();
