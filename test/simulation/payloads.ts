/** Payloads that only pretend: they take their time, and end in every way in which real ones do. */
import { interpretOutput, missingOutput } from "../../pilot/output-json.ts";
import type { runEvaluation } from "../../pilot/evaluation.ts";
import type { SteeringEnd, SteeringRequest } from "../../pilot/steering-run.ts";
import { itemKey } from "../../protocol/ids.ts";
import type { GrantedItem, InterruptionReason, Outcome } from "../../protocol/pilot-messages.ts";
import type { Cluster, Habits } from "./cluster.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

/** Told what a pilot's payloads do. */
export interface PayloadWatch {
  started(item: GrantedItem): void;
  ended(item: GrantedItem, outcome: Outcome | null): void;
}

const NODES_FAULTS: readonly InterruptionReason[] = ["runtime", "imagePull", "diskFull"];

/** An image is mended, or its server is, some minutes later. */
const IMAGE_DAY_MS = 120_000;

export function createEvaluator(
  cluster: Cluster,
  { process, node }: { readonly process: Process; readonly node: string },
  watch: PayloadWatch,
): typeof runEvaluation {
  return async (_node, { item, spec, signal, eviction }) => {
    watch.started(item);
    const random = randomOf(cluster, item);
    const habits = habitsOf(cluster, spec.clientTaskUuid);
    const lacks = missingImage(cluster, habits, `${spec.clientTaskUuid} on ${node}`);
    const durationSeconds = lacks === null ? secondsOf(random, habits.secondsMean) : 0.2;
    const ending = AbortSignal.any([signal, eviction]);
    const isStopped = await sleeps(process, durationSeconds * 1_000, ending);
    const outcome = isStopped
      ? null
      : (lacks ?? outcomeOf(cluster, habits, random, durationSeconds));
    watch.ended(item, outcome);
    const used = { runtime: "bubblewrap", memoryBytesPeak: null };
    return { outcome, durationSeconds, log: "", left: {}, used };
  };
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
