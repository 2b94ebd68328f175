/** Simulated pilots on real WebSockets: they speak the wire and train nothing, so that a benchmark measures the server. */
import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";
import { decodeFrame, encode } from "../../protocol/codec.ts";
import { ToHarvesterFrame, type FromHarvesterInput } from "../../protocol/harvester-messages.ts";
import {
  PilotSessionAnswer,
  type FromPilot,
  type GrantedItem,
  type ToPilot,
} from "../../protocol/pilot-messages.ts";
import { API_ROOT } from "../../protocol/rest.ts";
import { HARVESTER_SOCKET_PATH, PILOT_SOCKET_PATH } from "../../protocol/routes.ts";
import { OUR_RANGE } from "../../protocol/version.ts";

export interface SwarmOptions {
  readonly server: string;
  readonly harvesterToken: string;
  readonly queue: string;
  readonly pilots: number;
  /** Milliseconds after which a granted item is answered; 0: at once. */
  readonly thinkMs: () => number;
  /** Called with each granted item as it arrives. */
  readonly onGranted: (item: GrantedItem) => void;
  /** Called when a result is acknowledged. */
  readonly onAccepted: () => void;
}

export interface Swarm {
  readonly connectSeconds: number;
  close(): void;
}

/** Connects the pilots one submission each; every pilot has one slot and asks for work at once. */
export async function startSwarm(options: SwarmOptions): Promise<Swarm> {
  const secrets = await drawSecrets(options);
  const startedAt = performance.now();
  const sockets: WebSocket[] = [];
  for (let first = 0; first < secrets.length; first += 50) {
    const group = secrets.slice(first, first + 50);
    sockets.push(...(await Promise.all(group.map((secret) => startPilot(options, secret)))));
  }
  const connectSeconds = (performance.now() - startedAt) / 1_000;
  return { connectSeconds, close: () => sockets.forEach((socket) => socket.terminate()) };
}

/** Boot secrets of as many submissions as there are to be pilots, as a harvester asks for them. */
export async function drawSecrets(
  options: Pick<SwarmOptions, "server" | "harvesterToken" | "queue" | "pilots">,
): Promise<string[]> {
  const socket = await openSocket(options.server, HARVESTER_SOCKET_PATH, options.harvesterToken);
  const secrets: string[] = [];
  const report = (): FromHarvesterInput => ({
    type: "report",
    queue: options.queue,
    submissions: [],
    secretsNeeded: Math.min(256, options.pilots - secrets.length),
    lastError: null,
  });
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (data: Buffer) => {
      for (const message of ToHarvesterFrame.parse(decodeFrame(data))) {
        if (message.type !== "bootSecrets") continue;
        secrets.push(...message.secrets.map(({ secret }) => secret));
        if (secrets.length >= options.pilots) resolve();
        else socket.send(encode([report()]));
      }
    });
    const hello: FromHarvesterInput = {
      type: "hello",
      protocol: OUR_RANGE,
      harvester: "bench",
      sites: [],
    };
    socket.send(encode([hello, report()]));
  });
  socket.close();
  return secrets.slice(0, options.pilots);
}

/** Errors: the server cannot be reached, or refuses. */
export function openSocket(server: string, path: string, token: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(server.replace(/^http/, "ws") + path, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    socket.once("open", () => resolve(socket));
    socket.once("error", reject);
  });
}

async function startPilot(options: SwarmOptions, secret: string): Promise<WebSocket> {
  const instance = randomUUID();
  const response = await fetch(`${options.server}${API_ROOT}/pilot-sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ instance }),
  });
  if (!response.ok) throw new Error(`pilot-sessions: ${response.status} ${await response.text()}`);
  const { token } = PilotSessionAnswer.parse(await response.json());
  const socket = await openSocket(options.server, PILOT_SOCKET_PATH, token);
  attach(socket, options);
  const resources = { cpus: 1, memoryBytes: 4e9, gpus: [] };
  const capacity = {
    node: "bench",
    ...resources,
    scratchBytes: 1e12,
    runtimes: ["none"],
    walltimeLeftSeconds: null,
    sources: {},
  };
  const hello: FromPilot = {
    type: "hello",
    protocol: OUR_RANGE,
    instance,
    capacity,
    slots: [resources],
    leases: [],
  };
  socket.send(encode([hello, { type: "request", slot: 0, requestNo: 1, want: 1 }]));
  return socket;
}

function attach(socket: WebSocket, options: SwarmOptions): void {
  let requestNo = 1;
  const answer = (item: GrantedItem): void => {
    requestNo += 1;
    const result: FromPilot = {
      type: "result",
      item: item.item,
      epoch: item.epoch,
      seq: 1,
      outcome: { type: "loss", loss: 0.5, exitCode: 0, message: "" },
      durationSeconds: 1,
      log: "",
      next: { slot: 0, requestNo, want: 1 },
    };
    if (socket.readyState === WebSocket.OPEN) socket.send(encode([result]));
  };
  socket.on("message", (data: Buffer) => {
    // Trusted: the server under test is ours, and a schema here would measure the load generator.
    for (const message of decodeFrame(data) as ToPilot[]) {
      if (message.type === "accepted") options.onAccepted();
      if (message.type === "refused") throw new Error(message.message);
      if (message.type !== "grant") continue;
      for (const item of message.items) {
        options.onGranted(item);
        const thinkMs = options.thinkMs();
        if (thinkMs === 0) answer(item);
        else setTimeout(() => answer(item), thinkMs);
      }
    }
  });
}
