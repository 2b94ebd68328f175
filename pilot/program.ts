/** Joins the agent's decisions with the world: payloads, files, the connection. */
import { rm, stat } from "node:fs/promises";
import type { Clock, Timer } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import { assertNever } from "../protocol/assert-never.ts";
import { EXIT, type ExitCode, HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { FromPilot, GrantedItem, Outcome, ToPilot } from "../protocol/pilot-messages.ts";
import type { SlotResources } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { Agent, AgentAction, AgentInput } from "./agent-port.ts";
import { cleanMessage } from "./clean-message.ts";
import type { EvaluationEnd, PayloadRunner } from "./payload.ts";
import type { ServerApi } from "./server-api.ts";
import type { Spawner } from "./spawner.ts";
import type { Stage } from "./stage.ts";
import { runSteering } from "./steering-run.ts";

export interface PilotDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly agent: Agent;
  readonly slots: readonly SlotResources[];
  /** One per slot. */
  readonly spawners: readonly Spawner[];
  readonly runner: PayloadRunner;
  readonly stage: Stage;
  readonly api: Pick<ServerApi, "putLog" | "getSteeringInput">;
  /** The pilot has nothing more to do; called once. */
  readonly onExit: (code: ExitCode, detail: string) => void;
}

export interface StopReason {
  readonly reason: string;
  readonly walltimeOver: boolean;
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

/** How often the agent looks at the time. */
const TICK_MS = 250;
/** The server's codes of closed connections that concern a pilot (RFC 6455, and 4000 of our own). */
const CLOSED_FOR_VIOLATION = 1008;
const CLOSED_AS_REPLACED = 4000;

export function createPilotProgram(deps: PilotDeps): PilotProgram {
  return new RunningPilot(deps);
}

class RunningPilot implements PilotProgram {
  readonly #deps: PilotDeps;
  /** By slot. */
  readonly #running = new Map<number, AbortController>();
  readonly #exited: Promise<void>;
  #settleExited: () => void = () => undefined;
  #hasExited = false;
  #send: (messages: readonly FromPilot[]) => void = () => undefined;
  #ticker: Timer | null = null;
  #isConnected = false;
  #violations = 0;

  constructor(deps: PilotDeps) {
    this.#deps = deps;
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
    this.#handle({ type: "stopRequested", ...reason });
    const patience = new AbortController();
    const overdue = this.#deps.clock
      .sleep(PILOT.stopDeadlineMs, patience.signal)
      .then(() => this.#deps.log.warn("stopOverdue", { leases: this.#deps.agent.held().length }))
      .catch(() => undefined);
    await Promise.race([this.#exited, overdue]);
    patience.abort();
    this.#ticker?.cancel();
    for (const running of this.#running.values()) running.abort();
  }

  #tick(): void {
    this.#handle({ type: "tick" });
    if (!this.#hasExited) this.#ticker = this.#deps.clock.setTimer(TICK_MS, () => this.#tick());
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
        return this.#running.get(action.slot)?.abort();
      case "exit": {
        const code = action.reason === "refused" ? refusalCode(action.detail) : EXIT.success;
        return this.#exit(code, action.detail);
      }
      default:
        return assertNever(action);
    }
  }

  #exit(code: ExitCode, detail: string): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.#ticker?.cancel();
    this.#settleExited();
    this.#deps.onExit(code, detail);
  }

  async #evaluate(item: GrantedItem, spec: TaskSpecification): Promise<void> {
    const { log } = this.#deps;
    const { slot } = item;
    const controller = new AbortController();
    this.#running.set(slot, controller);
    log.info("started", { item: item.item, slot, attempt: item.attempt });
    const end = await this.#run(item, spec, controller.signal);
    const text = await this.#deliverLog(item, end, controller.signal);
    if (end.leftover !== null) log.warn("leftover", { error: end.leftover });
    const { outcome, durationSeconds } = end;
    const { runtime, memoryBytesPeak } = end;
    const used = { seconds: durationSeconds, runtime, memoryBytesPeak };
    log.info("ended", { item: item.item, slot, outcome: outcome?.type ?? "stopped", ...used });
    this.#running.delete(slot);
    const lease = { item: item.item, epoch: item.epoch, slot };
    this.#handle({ type: "payloadEnded", lease, outcome, durationSeconds, log: text });
  }

  async #steer(item: GrantedItem, spec: TaskSpecification): Promise<void> {
    const { log, runner, api, stage, spawners, slots } = this.#deps;
    const controller = new AbortController();
    this.#running.set(item.slot, controller);
    log.info("started", { item: item.item, slot: item.slot, try: item.attempt });
    const node = { runner, api, stage, spawner: spawners[item.slot], slot: slots[item.slot] };
    const end = await runSteering(node, { item, spec, signal: controller.signal });
    if (end.leftover !== null) log.warn("leftover", { error: end.leftover });
    log.info("ended", { item: item.item, slot: item.slot, answered: end.answer !== null });
    this.#running.delete(item.slot);
    const lease = { item: item.item, epoch: item.epoch, slot: item.slot };
    this.#handle({ type: "runEnded", lease, answer: end.answer, log: end.log });
  }

  async #run(
    item: GrantedItem,
    spec: TaskSpecification,
    signal: AbortSignal,
  ): Promise<EvaluationEnd> {
    const { stage, runner, spawners, slots, clock, log } = this.#deps;
    const beganMs = clock.monotonicMs();
    const spawner = spawners[item.slot];
    const slot = slots[item.slot];
    try {
      if (spawner === undefined || slot === undefined) throw new Error(`no slot ${item.slot}`);
      const { sandboxSha256 } = spec;
      const staged =
        sandboxSha256 === null ? null : await stage.hold(sandboxSha256, item.token, signal);
      try {
        const sandboxFile = staged?.file ?? null;
        return await runner.run({ item, spec, sandboxFile, slot, spawner, signal });
      } finally {
        staged?.release();
      }
    } catch (error) {
      if (!signal.aborted) log.error("evaluationFailed", { item: item.item, error: textOf(error) });
      const durationSeconds = (clock.monotonicMs() - beganMs) / 1_000;
      const outcome = signal.aborted ? null : notOfThePayload(error);
      const nothing = { logFile: null, logTail: "", leftover: null };
      return { outcome, durationSeconds, ...nothing, runtime: null, memoryBytesPeak: null };
    }
  }

  /** The output that travels with the result: none when all of it was uploaded. Losing output never costs the result. */
  async #deliverLog(item: GrantedItem, end: EvaluationEnd, signal: AbortSignal): Promise<string> {
    const { logFile } = end;
    if (logFile === null) return end.logTail;
    try {
      const isLong = (await stat(logFile)).size > PILOT.inlineLogBytesMax;
      if (!isLong || end.outcome === null || !this.#isConnected) return end.logTail;
      await this.#deps.api.putLog(item, logFile, signal);
      return "";
    } catch (error) {
      this.#deps.log.warn("logNotUploaded", { item: item.item, error: textOf(error) });
      return end.logTail;
    } finally {
      await rm(logFile, { force: true }).catch((error: unknown) =>
        this.#deps.log.warn("leftover", { error: errorText(error) }),
      );
    }
  }
}

/** What failed before the payload began is the node's or the network's. */
function notOfThePayload(error: unknown): Outcome {
  return { type: "interrupted", reason: "runtime", message: cleanMessage(textOf(error)) };
}

function textOf(error: unknown): string {
  if (!(error instanceof HyperpilotError)) return errorText(error);
  return [error.code, error.message, error.why].filter((part) => part !== undefined).join(" ");
}

function refusalCode(detail: string): ExitCode {
  return detail.startsWith("E_UNAUTHENTICATED") ? EXIT.unauthenticated : EXIT.failed;
}
