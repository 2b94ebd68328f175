/** Payloads that only pretend: they take their time, and end in every way in which real ones do. */
import { interpretOutput, missingOutput } from "../../pilot/output-json.ts";
import type { EvaluationOrder, runEvaluation } from "../../pilot/evaluation.ts";
import type { SteeringEnd, SteeringRequest } from "../../pilot/steering-run.ts";
import { itemKey } from "../../protocol/ids.ts";
import type { GrantedItem, InterruptionReason, Outcome } from "../../protocol/pilot-messages.ts";
import type { Cluster, Habits } from "./cluster.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import {
  createStateSaver,
  restoreState,
  type RestoredState,
  type SavingNode,
  type StateRequests,
} from "./saved-states.ts";

/** Told what a pilot's payloads do. */
export interface PayloadWatch {
  started(item: GrantedItem): void;
  ended(item: GrantedItem, outcome: Outcome | null): void;
}

const NODES_FAULTS: readonly InterruptionReason[] = ["runtime", "imagePull", "diskFull"];

/** Steps of one evaluation at most. */
const STEPS_MAX = 12;
/** An image is mended, or its server is, some minutes later. */
const IMAGE_DAY_MS = 120_000;

export function createEvaluator(
  cluster: Cluster,
  { process, node, requests }: EvaluatorPlace,
  watch: PayloadWatch,
): typeof runEvaluation {
  const saving: SavingNode = { oracle: cluster.oracle, process, requests };
  return async (_node, order) => {
    const { item, spec } = order;
    watch.started(item);
    const random = randomOf(cluster, item);
    const habits = habitsOf(cluster, spec.clientTaskUuid);
    const lacks = missingImage(cluster, habits, `${spec.clientTaskUuid} on ${node}`);
    const beganMs = process.clock.monotonicMs();
    const { outcome, restored } = await (lacks === null
      ? evaluate(cluster, { saving, habits, random }, order)
      : withoutImage(process, lacks, AbortSignal.any([order.signal, order.eviction])));
    watch.ended(item, outcome);
    const durationSeconds = (process.clock.monotonicMs() - beganMs) / 1_000;
    const left = restored === null ? {} : { restored };
    const used = { runtime: "bubblewrap", memoryBytesPeak: null };
    return { outcome, durationSeconds, log: "", left, used };
  };
}

interface EvaluatorPlace {
  readonly process: Process;
  readonly node: string;
  readonly requests: StateRequests;
}

interface Evaluated {
  /** null: it was stopped. */
  readonly outcome: Outcome | null;
  readonly restored: string | null;
}

async function withoutImage(
  process: Process,
  lacks: Outcome,
  ending: AbortSignal,
): Promise<Evaluated> {
  const isStopped = await sleeps(process, 200, ending);
  return { outcome: isStopped ? null : lacks, restored: null };
}

interface Evaluating {
  readonly saving: SavingNode;
  readonly habits: Habits;
  readonly random: Random;
}

async function evaluate(
  cluster: Cluster,
  { saving, habits, random }: Evaluating,
  { item, signal, eviction, onSaved }: EvaluationOrder,
): Promise<Evaluated> {
  const { process } = saving;
  const ending = AbortSignal.any([signal, eviction]);
  const seconds = secondsOf(random, habits.secondsMean);
  const { saves } = habits;
  if (saves === null) {
    const isStopped = await sleeps(process, seconds * 1_000, ending);
    return {
      outcome: isStopped ? null : outcomeOf(cluster, habits, random, seconds),
      restored: null,
    };
  }
  let state: RestoredState;
  try {
    state = await restoreState(saving, item, { signal: ending, random });
  } catch (error) {
    const message = error instanceof Error ? error.message : "no state";
    return {
      outcome: ending.aborted ? null : { type: "interrupted", reason: "runtime", message },
      restored: null,
    };
  }
  const saver = createStateSaver(saving, item, { random, onSaved });
  const steps = Math.min(STEPS_MAX, Math.ceil(seconds / saves.stepSeconds));
  let { step } = state;
  let isStopped = false;
  do {
    isStopped = await sleeps(process, saves.stepSeconds * 1_000, ending);
    // Stopped at once, it has nothing new to save, and saves it all the same.
    if (!isStopped || random.chance(0.5)) step += 1;
    if (!isStopped && step < steps) saver.save(step);
  } while (!isStopped && step < steps);
  if (isStopped && !signal.aborted) await saver.finish(step);
  await saver.stop();
  const { sha256: restored } = state;
  if (isStopped) return { outcome: null, restored };
  const isUnfit = restored !== null && !cluster.isCalm && random.chance(saves.failsRestored);
  const outcome = isUnfit
    ? missingOutput("output.json", { exitCode: 9, signal: null, outputTail: "" })
    : outcomeOf(cluster, habits, random, seconds);
  return { outcome, restored };
}

function missingImage(
  { isCalm, random, scheduler }: Cluster,
  { image }: Habits,
  where: string,
): Outcome | null {
  const day = Math.floor(scheduler.nowMs / IMAGE_DAY_MS);
  if (image === null || isCalm || !random.fork(`image of ${where}, ${day}`).chance(image.share))
    return null;
  const { cause: imageCause } = image;
  return {
    type: "interrupted",
    reason: "imagePull",
    message: `the image is ${imageCause}`,
    imageCause,
  };
}

function randomOf({ random }: Cluster, { item, epoch }: GrantedItem): Random {
  return random.fork(`payload ${itemKey(item)}@${epoch.join(".")}`);
}

function habitsOf({ habits }: Cluster, uuid: string): Habits {
  const found = habits.get(uuid);
  if (found === undefined) throw new Error(`no habits for ${uuid}`);
  return found;
}

/** Mostly near the mean, sometimes much longer, sometimes none at all. */
function secondsOf(random: Random, mean: number): number {
  const seconds = random.chance(0.1)
    ? random.between(1, 4) * mean
    : random.between(0.2, 1.4) * mean;
  return Math.round(seconds * 1_000) / 1_000;
}

/** Whether it was stopped before its time was over; then after a while that its processes take to end. */
async function sleeps(process: Process, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await process.clock.sleep(ms, signal);
    return false;
  } catch {
    await process.clock.sleep(300);
    return true;
  }
}

function outcomeOf(cluster: Cluster, habits: Habits, random: Random, seconds: number): Outcome {
  const kind = random.weighted({
    fails: habits.fails,
    badOutput: habits.badOutput,
    diverges: habits.diverges,
    timesOut: habits.timesOut,
    interrupted: cluster.isCalm ? 0 : habits.interrupted,
    loss: Math.max(
      0.05,
      1 - habits.fails - habits.badOutput - habits.diverges - habits.timesOut - habits.interrupted,
    ),
  });
  const exit = { exitCode: 0, signal: null, outputTail: "" };
  switch (kind) {
    case "fails":
      return missingOutput("output.json", {
        ...exit,
        exitCode: 1 + random.below(habits.exitCodes),
      });
    case "badOutput":
      return interpretOutput('{"status":0,"loss":null}', "output.json", exit);
    case "diverges": {
      const text = `{"loss":${random.pick(["NaN", "Infinity", "-Infinity"])}}`;
      return mustMean(cluster, text, null, interpretOutput(text, "output.json", exit));
    }
    case "timesOut":
      return { type: "timeout", afterSeconds: seconds, message: "took too long" };
    case "interrupted":
      return {
        type: "interrupted",
        reason: random.pick(NODES_FAULTS),
        message: "the node's fault",
      };
    case "loss": {
      const exitCode = random.chance(0.1) ? 3 : 0;
      const loss = lossText(random);
      const text = `{"status":0,"loss":${loss}}`;
      const outcome = interpretOutput(text, "output.json", { ...exit, exitCode });
      return mustMean(cluster, text, Number(loss), outcome);
    }
  }
}

/** A payload knows which loss it wrote; null: none, it has diverged. */
function mustMean(
  { oracle }: Cluster,
  text: string,
  loss: number | null,
  outcome: Outcome,
): Outcome {
  const isRight =
    loss === null
      ? outcome.type === "diverged"
      : outcome.type === "loss" && Object.is(outcome.loss, loss);
  oracle.must(isRight, "fromSomewhere", () => `${text} is read as ${JSON.stringify(outcome)}`);
  return outcome;
}

/** Losses of all forms; hardly two alike, so that one taken for another is noticed. */
function lossText(random: Random): string {
  const loss = random.between(-1, 10) + random.next() * 1e-9;
  return random.chance(0.1) ? (loss * 1e-300).toExponential() : String(loss);
}

/** One run of a steering container: reads its input through `readInput`, answers after a while. */
export async function pretendToSteer(
  cluster: Cluster,
  {
    process,
    readInput,
  }: { readonly process: Process; readonly readInput: (token: string) => Promise<string> },
  { item, spec, signal }: SteeringRequest,
): Promise<SteeringEnd> {
  const random = randomOf(cluster, item);
  const { steering } = habitsOf(cluster, spec.clientTaskUuid);
  const failed = (message: string): SteeringEnd => ({
    answer: { points: null, message },
    log: "",
    leftover: null,
  });
  let input: string;
  try {
    input = await readInput(item.token);
  } catch (error) {
    if (signal.aborted) return { answer: null, log: "", leftover: null };
    return failed(error instanceof Error ? error.message : "no input");
  }
  if (await sleeps(process, secondsOf(random, steering.secondsMean) * 1_000, signal))
    return { answer: null, log: "", leftover: null };
  if (!cluster.isCalm) {
    if (random.chance(steering.fails)) return failed("the steering exited with 1");
    if (random.chance(steering.nonsense)) return answered(random.pick(["{}", "[1]", "", "[{]"]));
    if (random.chance(steering.empty)) return answered("[]");
  }
  const pending = input.split(", null]").length - 1;
  const wanted = Math.max(0, (item.steering?.numPoints ?? 0) - pending);
  const count = random.chance(steering.fewer)
    ? Math.max(1, wanted - 1)
    : wanted + (random.chance(steering.more) ? 2 : 0);
  return answered(`[${Array.from({ length: count }, () => pointText(random)).join(", ")}]`);
}

function answered(points: string): SteeringEnd {
  return { answer: { points, message: "" }, log: "", leftover: null };
}

function pointText(random: Random): string {
  return `{"b": ${random.below(8)}.0, "a": "${random.pick(["x", "y"])}", "10": ${random.below(2)}}`;
}
