/** Nodes with what became of evaluations there, and which of them are suspect. Pure. */
import { SITE } from "../../../protocol/limits.ts";
import type { NodeView } from "../../../protocol/site.ts";
import { nodeKey, type Core, type NodeHealth } from "../../core.ts";
import type { HyperpilotEvent } from "../../events.ts";
import type { Live } from "../../live.ts";
import { isoTime } from "../tasks.ts";

interface Counts {
  losses: number;
  failures: number;
  interruptions: number;
  infrastructure: number;
  /** Seconds of attempts that failed, for the typical time that a failure takes. */
  failedSeconds: number;
  lastMs: number;
}

/** Attempts from which on a node can be told from bad luck. */
const ATTEMPTS_MIN = 5;
/** Share of failures above which a node is suspected when others do better, and how much better. */
const FAILURE_SHARE = 0.5;
const TIMES_WORSE = 2;
const NODES_MAX = 20_000;

/** Takes events one by one. */
export class NodeTable {
  readonly #counts = new Map<string, Counts>();
  readonly #queue: string | undefined;

  constructor(queue: string | undefined) {
    this.#queue = queue;
  }

  add(event: HyperpilotEvent): void {
    if (event.type !== "attemptEnded" && event.type !== "leaseEnded") return;
    const { node, queue = "", atMs } = event;
    if (node === "" || (this.#queue !== undefined && queue !== this.#queue)) return;
    const counts = this.#of(nodeKey(queue, node));
    if (counts === null) return;
    counts.lastMs = atMs;
    if (event.type === "leaseEnded") {
      if (event.interruption) counts.interruptions += 1;
      if (event.infrastructure) counts.infrastructure += 1;
    } else if (event.outcome.type === "loss" || event.outcome.type === "diverged") {
      counts.losses += 1;
    } else {
      counts.failures += 1;
      counts.failedSeconds += event.durationSeconds;
    }
  }

  #of(key: string): Counts | null {
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      if (this.#counts.size >= NODES_MAX) return null;
      const none = { losses: 0, failures: 0, interruptions: 0, infrastructure: 0 };
      counts = { ...none, failedSeconds: 0, lastMs: 0 };
      this.#counts.set(key, counts);
    }
    return counts;
  }

  /** Suspect ones first; with `onlyBad` no others. */
  views(
    core: Core,
    live: Live,
    onlyBad: boolean,
  ): { readonly items: NodeView[]; readonly truncated: boolean } {
    const pilots = pilotsByNode(live);
    const keys = new Set([...this.#counts.keys(), ...core.nodes.keys(), ...pilots.keys()]);
    const views = [...keys]
      .filter((key) => this.#queue === undefined || key.startsWith(`${this.#queue}/`))
      .map((key) => this.#view(key, core.nodes.get(key), pilots.get(key) ?? 0))
      .filter((view) => !onlyBad || view.reason !== "")
      .sort(bySuspicion);
    return {
      items: views.slice(0, SITE.answerRowsMax),
      truncated: views.length > SITE.answerRowsMax,
    };
  }

  #view(key: string, health: NodeHealth | undefined, pilots: number): NodeView {
    const slash = key.indexOf("/");
    const counts = this.#counts.get(key);
    return {
      queue: key.slice(0, slash),
      node: key.slice(slash + 1),
      drained: health?.drained ?? false,
      reason: this.#reason(health, counts),
      pilots,
      losses: counts?.losses ?? 0,
      failures: counts?.failures ?? 0,
      interruptions: counts?.interruptions ?? 0,
      infrastructure: counts?.infrastructure ?? 0,
      lastAt: counts === undefined ? null : isoTime(counts.lastMs),
    };
  }

  #reason(health: NodeHealth | undefined, counts: Counts | undefined): string {
    if (health?.drained === true) return health.reason;
    if (health !== undefined && health.lossesInRow > 0)
      return `${health.lossesInRow} infrastructure losses in a row`;
    if (counts === undefined) return "";
    return this.#isBlackHole(counts) ? blackHoleText(counts) : "";
  }

  /** A node that fails most of what it gets, where other nodes do much better, takes work from them all. */
  #isBlackHole(counts: Counts): boolean {
    const attempts = counts.losses + counts.failures;
    if (attempts < ATTEMPTS_MIN) return false;
    const share = counts.failures / attempts;
    let otherFailures = 0;
    let otherAttempts = 0;
    for (const other of this.#counts.values()) {
      if (other === counts) continue;
      otherFailures += other.failures;
      otherAttempts += other.failures + other.losses;
    }
    if (share < FAILURE_SHARE || otherAttempts < ATTEMPTS_MIN) return false;
    return share >= TIMES_WORSE * (otherFailures / otherAttempts);
  }
}

function blackHoleText({ failures, losses, failedSeconds }: Counts): string {
  const typical = Math.round(failedSeconds / Math.max(1, failures));
  return `black hole: ${failures} of ${failures + losses} attempts fail here, after ${typical} s, and far fewer elsewhere`;
}

function bySuspicion(a: NodeView, b: NodeView): number {
  const rank = (view: NodeView): number => (view.drained ? 2 : view.reason === "" ? 0 : 1);
  return (
    rank(b) - rank(a) ||
    b.infrastructure - a.infrastructure ||
    b.failures - a.failures ||
    (nodeKey(a.queue, a.node) < nodeKey(b.queue, b.node) ? -1 : 1)
  );
}

function pilotsByNode(live: Live): Map<string, number> {
  const pilots = new Map<string, number>();
  for (const { session, queue, capacity } of live.pilots.values()) {
    if (session === null) continue;
    const key = nodeKey(queue, capacity.node);
    pilots.set(key, (pilots.get(key) ?? 0) + 1);
  }
  return pilots;
}
