/**
 * 1,000 simulated pilots on real WebSockets against the real server: durable results per second in a closed loop, then how long
 * a ready point waits for its lease when points arrive at half that rate. Load and server share the machine's cores.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { HyperpilotEvent } from "../../server/events.ts";
import { startSwarm } from "./pilot-swarm.ts";
import { percentile, startServerUnderTest, type ServerUnderTest } from "./server-under-test.ts";

const PILOTS = 1_000;
const WARM_UP_MS = 2_000;
const MEASURED_MS = 8_000;

export async function durableResults(): Promise<Record<string, unknown>> {
  const closed = await closedLoop();
  const open = await halfRate(closed.resultsPerSecond);
  return { pilots: PILOTS, ...closed, ...open };
}

async function withQueue(): Promise<ServerUnderTest> {
  const server = await startServerUnderTest({ withPilots: false });
  await server.deployment.request("PUT", "/queues/bench", {
    name: "bench",
    limits: { maxPilots: PILOTS, maxQueued: PILOTS },
    runtime: "none",
  });
  return server;
}

async function closedLoop(): Promise<{
  resultsPerSecond: number;
  serverCpuMicrosecondsPerResult: number;
  connectSeconds: number;
}> {
  const server = await withQueue();
  try {
    let accepted = 0;
    await server.deployment.submit(
      { queues: ["bench"] },
      {
        maxPoints: 2_000_000,
        nParallelEvaluation: PILOTS,
        nPointsPerIteration: 8_000,
        minUnevaluatedPoints: 4_000,
      },
    );
    const swarm = await startSwarm({
      server: server.deployment.address,
      harvesterToken: server.harvesterToken,
      queue: "bench",
      pilots: PILOTS,
      thinkMs: () => 0,
      onGranted: () => undefined,
      onAccepted: () => (accepted += 1),
    });
    await delay(WARM_UP_MS);
    const before = { accepted, cpu: server.cpuSeconds(), at: performance.now() };
    await delay(MEASURED_MS);
    const results = accepted - before.accepted;
    const seconds = (performance.now() - before.at) / 1_000;
    const cpuSeconds = server.cpuSeconds() - before.cpu;
    swarm.close();
    return {
      resultsPerSecond: Math.round(results / seconds),
      serverCpuMicrosecondsPerResult: Math.round((cpuSeconds / results) * 1e7) / 10,
      connectSeconds: Math.round(swarm.connectSeconds * 10) / 10,
    };
  } finally {
    await server.remove();
  }
}

/** Pilots think so long that together they finish, and so call for new points, at half the closed loop's rate. */
async function halfRate(closedRate: number): Promise<Record<string, unknown>> {
  const server = await withQueue();
  const rate = closedRate / 2;
  const grants = new Map<string, number>();
  let measuring = false;
  let removed = false;
  try {
    const waiting = Math.round(PILOTS / 2);
    await server.deployment.submit(
      { queues: ["bench"] },
      {
        maxPoints: 2_000_000,
        nParallelEvaluation: PILOTS,
        nPointsPerIteration: waiting + 1,
        minUnevaluatedPoints: waiting,
      },
    );
    const thinkMs = (1_000 * waiting) / rate;
    const swarm = await startSwarm({
      server: server.deployment.address,
      harvesterToken: server.harvesterToken,
      queue: "bench",
      pilots: PILOTS,
      thinkMs: () => thinkMs * (0.5 + Math.random()),
      onGranted: ({ item }) => {
        if (measuring && item.type === "evaluation")
          grants.set(item.pointId, performance.timeOrigin + performance.now());
      },
      onAccepted: () => undefined,
    });
    await delay(WARM_UP_MS);
    measuring = true;
    await delay(MEASURED_MS);
    measuring = false;
    swarm.close();
    const events = await server.deployment.journalAfterStop();
    await server.remove();
    removed = true;
    return summary(events, grants);
  } finally {
    if (!removed) await server.remove();
  }
}

function summary(
  events: readonly HyperpilotEvent[],
  grants: ReadonlyMap<string, number>,
): Record<string, unknown> {
  const waits: number[] = [];
  for (const event of events) {
    const grantedAt = event.type === "pointGenerated" ? grants.get(event.pointId) : undefined;
    if (grantedAt !== undefined) waits.push(grantedAt - event.atMs);
  }
  return {
    arrivalsPerSecond: Math.round((waits.length / MEASURED_MS) * 1_000),
    readyToLeasedMsP50: Math.round(percentile(waits, 0.5) * 10) / 10,
    readyToLeasedMsP99: Math.round(percentile(waits, 0.99) * 10) / 10,
  };
}
