/** A server with sites whose queues are broken in different ways, for tests of what is said about them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { QueueWhyAnswer } from "../../protocol/site.ts";
import { WhyAnswer } from "../../protocol/rest.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { Limits, TaskSpecificationInput } from "../../protocol/task.ts";
import { makeCertificate } from "./certificate.ts";
import { Deployment, PROGRAM } from "./deployment.ts";
import { waitUntil } from "./wait-until.ts";

type QueueInput = z.input<typeof QueueConfig>;

/** What a search has other than usual. */
export type SearchChange = Partial<Omit<TaskSpecificationInput, "limits">> & {
  readonly limits?: Partial<Limits>;
};

export interface HarvesterOptions {
  readonly name: string;
  readonly site: string;
  /** Directory of the packed pilot; absent: pilots are started from this checkout. */
  readonly pilotPackage?: string;
}

export class CauseRig {
  readonly deployment: Deployment;
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];

  private constructor(directory: string, deployment: Deployment) {
    this.#directory = directory;
    this.deployment = deployment;
  }

  /** Starts a server with a certificate for these addresses. */
  static async start(directory: string, addresses: readonly string[]): Promise<CauseRig> {
    const certificate = await makeCertificate(directory, addresses);
    const deployment = new Deployment({ directory, serverArguments: [], certificate });
    await deployment.startServer();
    return new CauseRig(directory, deployment);
  }

  get port(): string {
    return new URL(this.deployment.address).port;
  }

  /** Makes a token; returns its id and a file that holds it. */
  async token(name: string): Promise<{ readonly id: string; readonly file: string }> {
    const { id, token } = await this.deployment.request<{ id: string; token: string }>(
      "POST",
      "/tokens",
      { name, user: name, roles: ["harvester"] },
    );
    const own = join(this.#directory, `harvester-${name}`);
    mkdirSync(own, { recursive: true, mode: 0o755 });
    const file = join(own, "token");
    writeFileSync(file, token, { mode: 0o600 });
    return { id, file };
  }

  /** Words that start a harvester, wherever they are run; `host` is the server as seen from there. */
  harvesterWords(options: HarvesterOptions, tokenFile: string, host: string): string[] {
    const { name, site, pilotPackage } = options;
    return [
      PROGRAM,
      "harvester",
      ...["--server", `https://${host}:${this.port}`, "--tokenFile", tokenFile],
      ...["--directory", join(this.#directory, `harvester-${name}`), "--name", name],
      ...["--stopPilots", "--site", site, "--caFingerprint", this.deployment.fingerprint],
      ...(pilotPackage === undefined ? [] : ["--pilotPackage", pilotPackage]),
    ];
  }

  /** Starts a harvester on this machine and waits until it has connected. Returns the id of its token and how to end it. */
  async harvester(
    options: HarvesterOptions,
    host = "127.0.0.1",
  ): Promise<{ readonly tokenId: string; readonly child: ChildProcess }> {
    const { id, file } = await this.token(options.name);
    const words = this.harvesterWords(options, file, host);
    const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
    await this.watchHarvester(child, options.name);
    return { tokenId: id, child };
  }

  /** Waits until a harvester that was started elsewhere has connected, and ends it with the rig. */
  async watchHarvester(child: ChildProcess, name: string): Promise<void> {
    this.#children.push(child);
    child.stderr?.on("data", (chunk: Buffer) => this.deployment.errors.push(chunk.toString()));
    await waitUntil(
      `harvester ${name} has connected`,
      async () => {
        const { items } = await this.deployment.request<{
          items: { name: string; connected: boolean }[];
        }>("GET", "/harvesters");
        return items.some((one) => one.name === name && one.connected);
      },
      { timeoutMs: 60_000, intervalMs: 200, state: () => this.deployment.errors.slice(-5) },
    );
  }

  addQueue(queue: QueueInput): Promise<unknown> {
    return this.deployment.request("PUT", `/queues/${queue.name}`, queue);
  }

  /** A search for this queue alone, whose evaluations stay unless the change says otherwise. */
  search(queue: string, change: SearchChange = {}): Promise<number> {
    const { limits, ...others } = change;
    const evaluation = { container: "host:", exec: "sleep 300" };
    return this.deployment.submit({ queues: [queue], evaluation, ...others }, limits ?? {});
  }

  async drainNode(queue: string, node: string): Promise<void> {
    const body = { queue, node, drained: true, reason: "test" };
    await this.deployment.command("POST", "/nodes/drain", body);
  }

  siteWhy(queue: string): Promise<QueueWhyAnswer> {
    return this.deployment.request("GET", `/queues/${queue}/why`, undefined, QueueWhyAnswer);
  }

  taskWhy(taskId: number): Promise<WhyAnswer> {
    return this.deployment.request("GET", `/tasks/${taskId}/why`, undefined, WhyAnswer);
  }

  async stop(): Promise<void> {
    for (const child of this.#children) await endChild(child);
    await this.deployment.stop();
  }
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await once(child, "exit");
  clearTimeout(timer);
}
