/** Joins the agent's decisions with the world: payloads, files, the connection. */
import type { Timer } from "../common/clock.ts";
import { assertNever } from "../protocol/assert-never.ts";
import { EXIT, type ExitCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { FromPilot, GrantedItem, ToPilot } from "../protocol/pilot-messages.ts";
import type { SlotResources } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { Agent, AgentAction, AgentInput } from "./agent-port.ts";
import { type StopReason, handOverMs } from "./eviction.ts";
import { type EvaluationNode, runEvaluation } from "./evaluation.ts";
import type { ServerApi } from "./server-api.ts";
import type { Spawner } from "./spawner.ts";
import { runSteering } from "./steering-run.ts";

export interface PilotDeps extends Omit<EvaluationNode, "api" | "isConnected"> {
  readonly agent: Agent;
  readonly slots: readonly SlotResources[];
  /** One per slot. */
  readonly spawners: readonly Spawner[];
  readonly api: EvaluationNode["api"] & Pick<ServerApi, "getSteeringInput">;
  /** The pilot has nothing more to do; called once. */
  readonly onExit: (code: ExitCode, detail: string) => void;
  /** Executes one evaluation; by default in this node's runtimes. */
  readonly evaluate?: typeof runEvaluation;
  /** Executes one run of container steering; by default in this node's runtimes. */
  readonly steer?: typeof runSteering;
  /** How often the agent looks at the time. */
  readonly tickMs?: number;
}

interface Running {
  /** Ends it at once. */
  readonly stop: AbortController;
  /** Ends it after it had a chance to save its state; the reason is the grace time in milliseconds. */
  readonly eviction: AbortController;
  readonly saves: boolean;
}

export interface PilotProgram {
  start(send: (messages: readonly FromPilot[]) => void): void;
  onConnected(): void;
  onClosed(code: number, reason: string): void;
  onMessage(message: ToPilot): void;
  /** The server does not let this pilot in any more. */
  onRefused(httpStatus: number): void;
  /** Ends running payloads as interrupted, hands results over, says goodbye; resolves also when that takes too long. */
  stop(reason: StopReason): Promise<void>;
}

const TICK_MS = 250;
/** The end of the walltime is nearer than that of a batch system's grace time. */
const WALLTIME_DEADLINE_MS = PILOT.walltimeGraceMs - 3_000;
/** The server's codes of closed connections that concern a pilot (RFC 6455, and 4000 of our own). */
const CLOSED_FOR_VIOLATION = 1008;
const CLOSED_AS_REPLACED = 4000;

/** The longest wait for payloads and for answers to their results. */
export function stopDeadlineMs({ graceMs, walltimeOver }: StopReason): number {
  if (graceMs !== undefined) return handOverMs(graceMs);
  return walltimeOver ? WALLTIME_DEADLINE_MS : PILOT.stopDeadlineMs;
}

export function createPilotProgram(deps: PilotDeps): PilotProgram {
  return new RunningPilot(deps);
}

class RunningPilot implements PilotProgram {
  readonly #deps: PilotDeps;
  /** By slot. */
  readonly #running = new Map<number, Running>();
  readonly #node: EvaluationNode;
  readonly #exited: Promise<void>;
  #settleExited: () => void = () => undefined;
  #hasExited = false;
  #send: (messages: readonly FromPilot[]) => void = () => undefined;
  #ticker: Timer | null = null;
  #isConnected = false;
  #violations = 0;
  #graceMs: number = PILOT.evictionGraceMs;

  constructor(deps: PilotDeps) {
    this.#deps = deps;
    this.#node = { ...deps, isConnected: () => this.#isConnected };
    this.#exited = new Promise((resolve) => {
      this.#settleExited = resolve;
    });
  }

  start(send: (messages: readonly FromPilot[]) => void): void {
    this.#send = send;
    this.#tick();
  }

  onConnected(): void {
    this.#deps.log.info("connected");
    this.#isConnected = true;
    this.#handle({ type: "connected" });
  }

  onClosed(code: number, reason: string): void {
    this.#deps.log.warn("disconnected", { code, reason });
    this.#isConnected = false;
    this.#handle({ type: "disconnected" });
    if (code === CLOSED_AS_REPLACED)
      return this.#exit(EXIT.conflict, "another process has taken this pilot's place");
    if (code !== CLOSED_FOR_VIOLATION) return;
    this.#violations += 1;
    if (this.#violations >= PILOT.violationsMax)
      this.#exit(EXIT.failed, `the server keeps closing the session: ${reason}`);
  }

  onMessage(message: ToPilot): void {
    if (message.type === "accepted" || message.type === "grant") this.#violations = 0;
    this.#handle({ type: "message", message });
  }

  onRefused(httpStatus: number): void {
    this.#exit(
      EXIT.unauthenticated,
      `the server answered HTTP ${httpStatus}: the session token of this pilot is not valid any more`,
    );
  }

  async stop(reason: StopReason): Promise<void> {
    const { graceMs, walltimeOver } = reason;
    this.#graceMs = graceMs ?? (walltimeOver ? PILOT.walltimeGraceMs : PILOT.evictionGraceMs);
    this.#handle({ type: "stopRequested", reason: reason.reason, walltimeOver });
    const patience = new AbortController();
    const overdue = this.#deps.clock
      .sleep(stopDeadlineMs(reason), patience.signal)
      .then(() => this.#deps.log.warn("stopOverdue", { leases: this.#deps.agent.held().length }))
      .catch(() => undefined);
    await Promise.race([this.#exited, overdue]);
    patience.abort();
    this.#ticker?.cancel();
    for (const { stop } of this.#running.values()) stop.abort();
  }

  #tick(): void {
    const { clock, tickMs = TICK_MS } = this.#deps;
    this.#handle({ type: "tick" });
    if (!this.#hasExited) this.#ticker = clock.setTimer(tickMs, () => this.#tick());
  }

  #handle(input: AgentInput): void {
    const { agent, clock } = this.#deps;
    for (const action of agent.handle(input, clock.monotonicMs())) this.#perform(action);
  }

  #perform(action: AgentAction): void {
    switch (action.type) {
      case "send":
        return this.#send(action.messages);
      case "start":
        if (action.item.item.type === "steering") void this.#steer(action.item, action.spec);
        else void this.#evaluate(action.item, action.spec);
        return;
      case "stopPayload":
        return this.#stopPayload(action.slot, action.saves);
      case "exit": {
        const code = action.reason === "refused" ? refusalCode(action.detail) : EXIT.success;
        return this.#exit(code, action.detail);
      }
      default:
        return assertNever(action);
    }
  }

  /** A payload that saves nothing is ended at once: there is nothing to wait for. */
  #stopPayload(slot: number, saves: boolean): void {
    const running = this.#running.get(slot);
    if (running?.saves === true && saves) running.eviction.abort(this.#graceMs);
    else running?.stop.abort();
  }

  #exit(code: ExitCode, detail: string): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.#ticker?.cancel();
    this.#settleExited();
    this.#deps.onExit(code, detail);
  }

  async #evaluate(item: GrantedItem, spec: TaskSpecification): Promise<void> {
    const { log, spawners, slots, evaluate = runEvaluation } = this.#deps;
    const { slot } = item;
    const { stop, eviction } = this.#begin(slot, spec.checkpoint.save.length > 0);
    const lease = { item: item.item, epoch: item.epoch, slot };
    const { attempt, checkpoints = [] } = item;
    log.info("started", { item: item.item, slot, attempt, checkpoints: checkpoints.length });
    const { used, ...end } = await evaluate(this.#node, {
      item,
      spec,
      slot: slots[slot],
      spawner: spawners[slot],
      signal: stop.signal,
      eviction: eviction.signal,
      onSaved: (checkpoint) => {
        log.info("checkpointSaved", { item: item.item, sizeBytes: checkpoint.sizeBytes });
        this.#handle({ type: "checkpointSaved", lease, checkpoint });
      },
      onWarning: (text) => {
        if (text !== null) log.warn("evaluationWarning", { item: item.item, text });
        this.#handle({ type: "warned", lease, text });
      },
    });
    const ended = { item: item.item, slot, outcome: end.outcome?.type ?? "stopped" };
    log.info("ended", { ...ended, seconds: end.durationSeconds, ...used });
    this.#running.delete(slot);
    this.#handle({ type: "payloadEnded", lease, ...end });
  }

  #begin(slot: number, saves: boolean): Running {
    const running = { stop: new AbortController(), eviction: new AbortController(), saves };
    this.#running.set(slot, running);
    return running;
  }

  async #steer(item: GrantedItem, spec: TaskSpecification): Promise<void> {
    const { log, runner, api, stage, spawners, slots, steer = runSteering } = this.#deps;
    const { stop } = this.#begin(item.slot, false);
    log.info("started", { item: item.item, slot: item.slot, try: item.attempt });
    const node = { runner, api, stage, spawner: spawners[item.slot], slot: slots[item.slot] };
    const end = await steer(node, { item, spec, signal: stop.signal });
    if (end.leftover !== null) log.warn("leftover", { error: end.leftover });
    log.info("ended", { item: item.item, slot: item.slot, answered: end.answer !== null });
    this.#running.delete(item.slot);
    const lease = { item: item.item, epoch: item.epoch, slot: item.slot };
    this.#handle({ type: "runEnded", lease, answer: end.answer, log: end.log });
  }
}

function refusalCode(detail: string): ExitCode {
  return detail.startsWith("E_UNAUTHENTICATED") ? EXIT.unauthenticated : EXIT.failed;
}
