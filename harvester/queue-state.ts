/** What a running harvester knows of one queue. */
import type { FromHarvester } from "../protocol/harvester-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { healthyQueue, type QueueHealth } from "./planner.ts";

export interface QueueState {
  config: QueueConfig;
  /** null until this connection's server said it, with the pilots that have connected: nothing is planned before. */
  wanted: number | null;
  connected: Set<string>;
  readonly health: QueueHealth;
  /** Submission id to boot secret, not used yet. */
  readonly secrets: Map<string, string>;
  secretsAsked: boolean;
  /** Signature of the last report of this connection; "" when there was none. */
  lastReport: string;
  /** The harvester that serves the queue instead; null: this one does. */
  servedBy: string | null;
}

export function createQueueState(config: QueueConfig): QueueState {
  return {
    config,
    wanted: null,
    connected: new Set(),
    health: healthyQueue(),
    secrets: new Map(),
    secretsAsked: false,
    lastReport: "",
    servedBy: null,
  };
}

/** Equal for reports that tell the same: the time to the next probe passes by itself. */
export function signatureOf(report: Extract<FromHarvester, { type: "report" }>): string {
  const { probeInSeconds, ...health } = report.health;
  return JSON.stringify({ ...report, health, paused: probeInSeconds !== null });
}
