/** A real server and harvester as processes of the built program, on loopback, with a data directory of their own. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { API_ROOT, type TaskDetail } from "../../protocol/rest.ts";
import {
  TaskSpecification,
  type Limits,
  type TaskSpecificationInput,
} from "../../protocol/task.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { systemClock } from "../../common/clock.ts";
import type { HyperpilotEvent } from "../../server/events.ts";
import {
  certificateArguments,
  fetchTrusting,
  type Answer,
  type CallInit,
  type Certificate,
} from "./certificate.ts";
import { waitUntil } from "./wait-until.ts";

export const PROGRAM = fileURLToPath(new URL("../../dist/client/main.js", import.meta.url));

/** Writes its x as the loss. */
export const LOSS_IS_X = `x=$(sed 's/.*"x": *\\([-0-9.e]*\\).*/\\1/' input.json); echo "{\\"loss\\": $x}" > output.json`;

export interface DeploymentOptions {
  /** Parent of all it writes. */
  readonly directory: string;
  readonly serverArguments?: readonly string[];
  /** Added to the environment of server and harvester. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Certificate of a server that listens beyond loopback; it signs itself. */
  readonly certificate?: Certificate;
  /** Port of the server; any free one when it is not given. */
  readonly port?: number;
}

export class Deployment {
  readonly data: string;
  readonly errors: string[] = [];
  private readonly options: DeploymentOptions;
  private server: ChildProcess | null = null;
  private harvester: ChildProcess | null = null;
  private port = 0;

  constructor(options: DeploymentOptions) {
    if (!existsSync(PROGRAM)) throw new Error("dist/ is missing: npm run build");
    this.options = options;
    this.data = join(options.directory, "data");
    this.port = options.port ?? 0;
  }

  async start(): Promise<void> {
    await this.startServer();
    this.harvester = this.run(["harvester", "--data", this.data, "--stop-pilots"]);
  }

  /** Starts the server, on the same port as before when it ran before, and waits until it answers. */
  async startServer(): Promise<void> {
    const server = this.run([
      "server",
      "--data",
      this.data,
      "--port",
      String(this.port),
      ...(this.options.serverArguments ?? ["--local-queue"]),
      ...certificateArguments(this.options.certificate),
    ]);
    this.server = server;
    await waitUntil(
      "the server answers",
      async () => {
        if (server.exitCode !== null) throw new Error(`the server ended: ${this.errors.join("")}`);
        return (await this.isHealthy()) || null;
      },
      { timeoutMs: 20_000 },
    );
    this.port = Number(new URL(this.address).port);
  }

  private run(args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        HYPERPILOT_SCRATCH: this.options.directory,
        ...this.options.environment,
      },
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.errors.push(chunk.toString());
      if (this.errors.length > 1_000) this.errors.shift();
    });
    return child;
  }

  get address(): string {
    return this.access().server;
  }

  private access(): { server: string; token: string } {
    return JSON.parse(readFileSync(join(this.data, "access.json"), "utf8")) as {
      server: string;
      token: string;
    };
  }

  /** Asks over HTTPS with the server's certificate as the only authority, else plainly. */
  private async fetch(url: string, init: CallInit = {}): Promise<Answer> {
    const { certificate } = this.options;
    if (certificate !== undefined) return fetchTrusting(url, certificate, init);
    const response = await fetch(url, init);
    return { ok: response.ok, status: response.status, text: await response.text() };
  }

  private async isHealthy(): Promise<boolean> {
    try {
      return (await this.fetch(`${this.address}${API_ROOT}/health`)).ok;
    } catch {
      return false;
    }
  }

  /** Fingerprint of the server's certificate. */
  get fingerprint(): string {
    return this.options.certificate?.fingerprint ?? "";
  }

  serverHasEnded(): boolean {
    return this.server?.exitCode !== null || this.server.signalCode !== null;
  }

  get serverPid(): number {
    return this.server?.pid ?? 0;
  }

  /** Pilots of this deployment that run now, all queues together. */
  pilotPids(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
          return words.includes(`${this.options.directory}/`) && words.includes("\0pilot\0");
        } catch {
          // It has ended in this moment.
          return false;
        }
      })
      .map(Number);
  }

  /** kill -9 of the server process. */
  async killServer(): Promise<void> {
    const server = this.server;
    if (server === null) return;
    server.kill("SIGKILL");
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  }

  async request<T>(
    method: string,
    path: string,
    body?: unknown,
    schema?: z.ZodType<T>,
  ): Promise<T> {
    const text = await this.answer(method, path, body);
    const answer: unknown = text === "" ? null : JSON.parse(text);
    return schema === undefined ? (answer as T) : schema.parse(answer);
  }

  /** A request whose answer has no body. */
  async command(method: string, path: string, body?: unknown): Promise<void> {
    await this.answer(method, path, body);
  }

  private async answer(method: string, path: string, body: unknown): Promise<string> {
    const { server, token } = this.access();
    const response = await this.fetch(`${server}${API_ROOT}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response.text;
    const answer: unknown = JSON.parse(response.text);
    throw Object.assign(new Error(JSON.stringify(answer)), { status: response.status, answer });
  }

  /** Sends bytes to a route. */
  async upload(path: string, bytes: Uint8Array): Promise<void> {
    const { server, token } = this.access();
    const response = await fetch(`${server}${API_ROOT}${path}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/gzip" },
      body: new Uint8Array(bytes),
    });
    if (!response.ok) throw new Error(await response.text());
    await response.arrayBuffer();
  }

  /** Bytes that a route answers. */
  async download(path: string): Promise<Uint8Array> {
    const { server, token } = this.access();
    const response = await fetch(`${server}${API_ROOT}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (!response.ok) throw new Error(await response.text());
    return new Uint8Array(await response.arrayBuffer());
  }

  /** An answer that is no JSON, such as output. */
  async text(path: string): Promise<string> {
    const { server, token } = this.access();
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${server}${API_ROOT}${path}`, { headers });
    return response.text();
  }

  async submit(
    change: Partial<TaskSpecificationInput> = {},
    limits: Partial<Limits> = {},
  ): Promise<number> {
    const spec = TaskSpecification.parse({
      specVersion: 1,
      name: "test",
      seed: 7,
      clientTaskUuid: crypto.randomUUID(),
      steering: { method: "random" },
      searchSpace: '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}',
      evaluation: { container: "host:", exec: LOSS_IS_X },
      needs: { cpus: 0.1, memoryBytes: 100_000_000 },
      ...change,
      limits,
    });
    const { taskId } = await this.request<{ taskId: number }>("POST", "/tasks", { spec });
    return taskId;
  }

  task(taskId: number): Promise<TaskDetail> {
    return this.request<TaskDetail>("GET", `/tasks/${taskId}`);
  }

  async untilEnded(taskId: number, timeoutMs = 60_000): Promise<TaskDetail> {
    let last: TaskDetail | null = null;
    return waitUntil(
      `task ${taskId} has ended`,
      async () => {
        last = await this.task(taskId);
        return last.endedAt === null ? null : last;
      },
      { timeoutMs, intervalMs: 100, state: () => ({ task: last, errors: this.errors.slice(-5) }) },
    );
  }

  /** Ends the server and reads its journal. */
  async journalAfterStop(): Promise<HyperpilotEvent[]> {
    await this.stop();
    const journal = createLevelJournal({
      directory: join(this.data, "journal"),
      clock: systemClock,
      onHeadFailed: (error) => {
        throw error;
      },
    });
    const events: HyperpilotEvent[] = [];
    try {
      await journal.open();
      for await (const batch of journal.read(1)) events.push(...batch.events);
    } finally {
      await journal.close();
    }
    return events;
  }

  /** Ends harvester, pilots and server in this order. */
  async stop(): Promise<void> {
    for (const child of [this.harvester, this.server]) {
      if (child === null || child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGTERM");
      const gone = once(child, "exit");
      const timer = setTimeout(() => child.kill("SIGKILL"), 45_000);
      await gone;
      clearTimeout(timer);
    }
    this.harvester = null;
    this.server = null;
  }
}
