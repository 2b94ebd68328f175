/** Whole sites for tests: a real batch system in an operating system and a network of its own (see scripts/testbed-sites). */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram, type ProgramResult } from "../../common/child.ts";
import { testbed } from "./testbed.ts";
import { waitUntil } from "./wait-until.ts";

export const SITES_ROOT = join(testbed.directory, "sites", "root");
const SCRIPTS = fileURLToPath(new URL("sites/", import.meta.url));
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** The ordinary user that scripts/testbed-sites made. */
export const SITE_USER = 1_500;

/** Skips the suite, by name, where sites cannot be made: they need root and the testbed. */
export function requireSites(context: Mocha.Context): void {
  if (process.getuid?.() === 0 && existsSync(SITES_ROOT)) return;
  console.log(
    "        skipped: no sites here (scripts/testbed and scripts/testbed-sites build them)",
  );
  context.skip();
}

export interface SiteOptions {
  /** At most 10 letters: it names a network device. */
  readonly name: string;
  /** 1 to 250; the site's address is 10.77.INDEX.2, and it sees the outside as 10.77.INDEX.1. */
  readonly index: number;
  /** null: none, only an operating system with a network. */
  readonly batchSystem: "slurm" | "htcondor" | "gridengine" | null;
  /** Root directory that the site's operating system starts from; by default the one with all batch systems. */
  readonly root?: string;
  /** Holds the site's state; on a file system that overlays can lie on. */
  readonly directory: string;
  /** Directories of this machine that the site sees under the same path. */
  readonly shared: readonly string[];
}

export class Site {
  readonly #options: SiteOptions;
  #outer: ChildProcess | null = null;
  #pid = 0;

  constructor(options: SiteOptions) {
    this.#options = options;
  }

  /** How the site reaches this machine. */
  get outsideAddress(): string {
    return `10.77.${this.#options.index}.1`;
  }

  /** Starts the site, with the state it had if it ran before, and its batch system. */
  async start(): Promise<void> {
    const { name, index, directory, shared, batchSystem, root = SITES_ROOT } = this.#options;
    mkdirSync(directory, { recursive: true });
    const script = join(SCRIPTS, "start.sh");
    const args = [script, name, String(index), directory, root, ...shared];
    const outer = spawn("/bin/bash", args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#outer = outer;
    let said = "";
    for (const stream of [outer.stdout, outer.stderr])
      stream.on("data", (chunk: Buffer) => void (said += chunk.toString()));
    await waitUntil(`site ${name} is ready`, () => {
      if (outer.exitCode !== null) throw new Error(`the site ended: ${said}`);
      return Promise.resolve(said.includes("ready") || null);
    });
    this.#pid = firstProcess(outer.pid ?? 0);
    if (batchSystem === null) return;
    const text = readFileSync(join(SCRIPTS, `${batchSystem}.sh`), "utf8");
    const started = await this.run(["bash", "-c", text]);
    if (started.exitCode !== 0) throw new Error(`${batchSystem} did not start: ${started.stderr}`);
    await this.#untilReady(batchSystem);
  }

  async #untilReady(batchSystem: NonNullable<SiteOptions["batchSystem"]>): Promise<void> {
    const questions = {
      slurm: { argv: ["sinfo", "-h", "-o", "%t"], ready: /^(idle|mix|alloc)/m },
      htcondor: { argv: ["condor_status", "-af", "State"], ready: /^(Unclaimed|Claimed)/m },
      gridengine: { argv: ["qhost", "-q"], ready: /batch/ },
    } as const;
    const { argv, ready } = questions[batchSystem];
    await waitUntil(
      "the batch system has a node",
      async () => ready.test((await this.run(argv)).stdout) || null,
      { timeoutMs: 60_000 },
    );
  }

  /** Runs a program inside, as root or as another user. */
  run(argv: readonly string[], user = 0): Promise<ProgramResult> {
    return runProgram(this.#wrapped(argv, user), { timeoutMs: 60_000 });
  }

  /** Words that run a program inside, as root. */
  words(argv: readonly string[]): readonly string[] {
    return this.#wrapped(argv, 0);
  }

  /** Starts a program inside that goes on. */
  spawn(argv: readonly string[], user: number): ChildProcess {
    const [file, ...args] = this.#wrapped(argv, user);
    return spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  }

  #wrapped(argv: readonly string[], user: number): [string, ...string[]] {
    const namespaces = ["-t", String(this.#pid), "-m", "-u", "-p", "-n"];
    const environment = [
      "env",
      "-i",
      `PATH=${PATH}`,
      "LC_ALL=C",
      "SGE_ROOT=/var/lib/gridengine",
      "SGE_CELL=default",
      `HOME=${user === 0 ? "/root" : "/home/user"}`,
    ];
    const as =
      user === 0
        ? []
        : ["setpriv", "--reuid", String(user), "--regid", String(user), "--clear-groups"];
    return ["/usr/bin/nsenter", ...namespaces, "--", ...as, ...environment, ...argv];
  }

  /**
   * A directory of programs with these names that run inside, as the ordinary user: a driver outside can use the batch system.
   * What lies below `owned` is given to that user first.
   */
  commandDirectory(names: readonly string[], owned: string): string {
    const directory = join(this.#options.directory, "commands");
    mkdirSync(directory, { recursive: true });
    const inside = this.#wrapped(["sh", "-c", 'cd "$0" 2>/dev/null || cd /; exec "$@"'], SITE_USER);
    const words = inside.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    for (const name of names) {
      const lines = [
        "#!/bin/sh",
        `case $PWD in ${owned}/*) chown -R ${SITE_USER}:${SITE_USER} "$PWD" ;; esac`,
        `exec ${words} "$PWD" ${name} "$@"`,
        "",
      ];
      writeFileSync(join(directory, name), lines.join("\n"), { mode: 0o755 });
    }
    return directory;
  }

  /** The site is lost: every process in it ends at once. Its state stays for the next start. */
  async lose(): Promise<void> {
    const outer = this.#outer;
    if (outer === null) return;
    this.#outer = null;
    const ended = once(outer, "exit");
    if (this.#pid !== 0) process.kill(this.#pid, "SIGKILL");
    outer.kill("SIGKILL");
    await ended;
  }

  /** Loses the site and removes what it was made of, besides its directory. */
  async close(): Promise<void> {
    const { name, directory } = this.#options;
    await this.lose();
    await runProgram(["umount", "-l", join(directory, "root")], { timeoutMs: 10_000 });
    await runProgram(["ip", "link", "delete", `v${name}-o`], { timeoutMs: 10_000 });
    await runProgram(["ip", "netns", "delete", name], { timeoutMs: 10_000 });
  }
}

/** The process with number 1 inside: the child of unshare, which took the place of the script. */
function firstProcess(outer: number): number {
  const children = readFileSync(`/proc/${outer}/task/${outer}/children`, "utf8").trim();
  const first = Number(children.split(" ")[0]);
  if (!readdirSync("/proc").includes(String(first))) throw new Error("the site has no process");
  return first;
}
