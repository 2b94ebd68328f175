/**
 * A site of one machine: a harvester, its local pilots and their payloads, on this machine's own network, or on one of their own that
 * can be cut off, in a process tree of their own that can be lost as a whole.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { runProgram } from "../../common/child.ts";
import { descendants, isRunning, processesNaming, readProc } from "../../pilot/process-tree.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { type Deployment, PROGRAM } from "./deployment.ts";
import { waitUntil } from "./wait-until.ts";

export interface SmallSiteOptions {
  readonly deployment: Deployment;
  /** Name of the site and of its queue; at most 8 letters, as it names network devices too. */
  readonly name: string;
  /** Parent of what it writes; the deployment's own directory. */
  readonly directory: string;
  readonly queue?: Partial<z.input<typeof QueueConfig>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** 1 to 250: its own network, on which this machine is 10.78.INDEX.1. The deployment needs a certificate for that address. */
  readonly network?: number;
}

/** Address of this machine as a site with that network sees it. */
export function outsideAddress(network: number): string {
  return `10.78.${network}.1`;
}

export class SmallSite {
  readonly #options: SmallSiteOptions;
  readonly #own: string;
  #harvester: ChildProcess | null = null;

  constructor(options: SmallSiteOptions) {
    this.#options = options;
    this.#own = join(options.directory, options.name);
  }

  get queue(): string {
    return this.#options.name;
  }

  /** Defines the queue and starts the harvester. */
  async start(): Promise<void> {
    const { deployment, name } = this.#options;
    mkdirSync(this.#own, { recursive: true });
    await this.changeQueue();
    const token = await deployment.request<{ token: string }>("POST", "/tokens", {
      name,
      user: name,
      roles: ["harvester"],
    });
    writeFileSync(join(this.#own, "token"), token.token, { mode: 0o600 });
    await this.startHarvester();
  }

  /** Defines the queue, with these changes to what the site was made with. */
  async changeQueue(change: SmallSiteOptions["queue"] = {}): Promise<void> {
    const { deployment, name, queue } = this.#options;
    await deployment.request("PUT", `/queues/${name}`, {
      name,
      site: name,
      leaseSeconds: 5,
      idleSeconds: 60,
      runtime: "bubblewrap",
      slot: { cpus: 0.1, memoryMiB: 200 },
      ...queue,
      limits: { maxPilots: 1, maxQueued: 5, maxSlotsPerPilot: 1, ...queue?.limits },
      ...change,
    });
  }

  /** Starts a harvester on the directory of the one before. */
  async startHarvester(): Promise<void> {
    const { deployment, name, network, environment } = this.#options;
    if (network !== undefined) await this.#makeNetwork(network);
    const { port } = new URL(deployment.address);
    const isSecure = network !== undefined;
    const server = isSecure
      ? `https://${outsideAddress(network)}:${port}`
      : `http://127.0.0.1:${port}`;
    const words = ["harvester", "--server", server, "--tokenFile", join(this.#own, "token")];
    const options = ["--directory", this.#own, "--name", name, "--site", name, "--stop-pilots"];
    const trust = isSecure ? ["--caFingerprint", deployment.fingerprint] : [];
    const [file, ...args] = [
      ...(isSecure ? ["ip", "netns", "exec", name] : []),
      ...(isSecure ? ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] : []),
      ...[process.execPath, PROGRAM, ...words, ...options, ...trust],
    ] as [string, ...string[]];
    const harvester = spawn(file, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, HYPERPILOT_SCRATCH: this.#own, ...environment },
    });
    harvester.stderr.on("data", (chunk: Buffer) => deployment.errors.push(chunk.toString()));
    this.#harvester = harvester;
  }

  async #makeNetwork(network: number): Promise<void> {
    const { name } = this.#options;
    const steps = [
      `netns add ${name}`,
      `link add v${name}-o type veth peer name v${name}-i`,
      `link set v${name}-i netns ${name}`,
      `addr add ${outsideAddress(network)}/24 dev v${name}-o`,
      `link set v${name}-o up`,
      `-n ${name} addr add 10.78.${network}.2/24 dev v${name}-i`,
      `-n ${name} link set v${name}-i up`,
      `-n ${name} link set lo up`,
    ];
    for (const step of steps) await ip(step);
  }

  /** Pulls the site's cable, or puts it in again. */
  async setLink(state: "up" | "down"): Promise<void> {
    await ip(`link set v${this.#options.name}-o ${state}`);
  }

  /** Pilots that run now. */
  pilotPids(): number[] {
    return processesNaming(`${this.#own}/`).filter(
      (pid) => isRunning(pid) && readProc(`/proc/${pid}/cmdline`).includes("\0pilot\0"),
    );
  }

  /** First process of each container that runs on the site. */
  containerPids(program = "bwrap"): number[] {
    return this.pilotPids()
      .flatMap((pid) => descendants(pid))
      .filter((pid) => readProc(`/proc/${pid}/comm`).startsWith(program));
  }

  async untilPilots(count = 1): Promise<number[]> {
    return waitUntil(
      `${count} pilots of ${this.queue} run`,
      () => {
        const pids = this.pilotPids();
        return pids.length >= count ? pids : null;
      },
      { timeoutMs: 30_000, state: () => this.#options.deployment.errors.slice(-5) },
    );
  }

  /** kill -9 of the harvester alone: its pilots go on. */
  async killHarvester(): Promise<void> {
    const harvester = this.#harvester;
    this.#harvester = null;
    if (harvester === null || harvester.exitCode !== null) return;
    const gone = once(harvester, "exit");
    harvester.kill("SIGKILL");
    await gone;
  }

  /** kill -9 of everything that runs there, and the network is gone. */
  async lose(): Promise<void> {
    const { network, name } = this.#options;
    if (network === undefined) throw new Error("the site has no processes of its own");
    const outer = this.#harvester;
    this.#harvester = null;
    if (outer?.pid !== undefined && outer.exitCode === null && outer.signalCode === null) {
      const gone = once(outer, "exit");
      const first = firstChild(outer.pid);
      if (first !== null) process.kill(first, "SIGKILL");
      outer.kill("SIGKILL");
      await gone;
    }
    await runProgram(["ip", "link", "delete", `v${name}-o`], { timeoutMs: 10_000 });
    await runProgram(["ip", "netns", "delete", name], { timeoutMs: 10_000 });
  }

  /** Ends the harvester with its pilots; what does not end is killed. */
  async close(): Promise<void> {
    const { network } = this.#options;
    const harvester = this.#harvester;
    for (const pid of this.pilotPids()) signalled(pid, "SIGCONT");
    if (network !== undefined) return this.lose();
    if (harvester?.exitCode === null && harvester.signalCode === null) {
      const gone = once(harvester, "exit");
      harvester.kill("SIGTERM");
      const timer = setTimeout(() => harvester.kill("SIGKILL"), 20_000);
      await gone;
      clearTimeout(timer);
    }
    for (const pid of this.pilotPids()) signalled(pid, "SIGKILL");
    await waitUntil("no pilot is left", () => this.pilotPids().length === 0);
  }
}

/** Sends a signal; false when the process is gone. */
export function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

function firstChild(pid: number): number | null {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  const first = Number(children[0]);
  return first > 0 ? first : null;
}

async function ip(words: string): Promise<void> {
  const done = await runProgram(["ip", ...words.split(" ")], { timeoutMs: 10_000 });
  if (done.exitCode !== 0) throw new Error(`ip ${words}: ${done.stderr}`);
}
