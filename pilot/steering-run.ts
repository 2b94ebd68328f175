/** One execution of container steering on this node: %IN from the server, the container, %OUT as the answer. */
import { rm } from "node:fs/promises";
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { GrantedItem, Outcome } from "../protocol/pilot-messages.ts";
import type { SlotResources } from "../protocol/resources.ts";
import { STEERING_INPUT, STEERING_OUTPUT, steeringCommand } from "../protocol/steering-command.ts";
import { isBuiltin, type TaskSpecification } from "../protocol/task.ts";
import { cleanMessage, lastLines } from "./clean-message.ts";
import type { PayloadExit } from "./output-json.ts";
import type { EvaluationEnd, PayloadRunner } from "./payload.ts";
import { readTextFile } from "./results.ts";
import type { ServerApi } from "./server-api.ts";
import type { Spawner } from "./spawner.ts";
import type { Stage } from "./stage.ts";

export interface SteeringNode {
  readonly runner: PayloadRunner;
  readonly api: Pick<ServerApi, "getSteeringInput" | "getRegistryCredential">;
  readonly stage: Stage;
  readonly spawner: Spawner | undefined;
  readonly slot: SlotResources | undefined;
}

export interface SteeringRequest {
  readonly item: GrantedItem;
  readonly spec: TaskSpecification;
  readonly signal: AbortSignal;
}

export interface SteeringEnd {
  /** null: it was stopped from outside. `points` null: the run failed, `message` says why. */
  readonly answer: { readonly points: string | null; readonly message: string } | null;
  /** The end of the container's output. */
  readonly log: string;
  readonly leftover: string | null;
}

/** Never throws: what goes wrong is a failed try, because a run that is given back would be granted here again at once. */
export async function runSteering(
  node: SteeringNode,
  request: SteeringRequest,
): Promise<SteeringEnd> {
  let points: string | null = null;
  const readOutcome = (work: string, exit: PayloadExit): Outcome => {
    const read = readAnswer(work, exit);
    points = read.points;
    return read.outcome;
  };
  try {
    const end = await execute(node, request, readOutcome);
    if (end.logFile !== null) await rm(end.logFile, { force: true });
    return { answer: answerOf(end.outcome, points), log: end.logTail, leftover: end.leftover };
  } catch (error) {
    const why = error instanceof HyperpilotError && error.why !== undefined ? ` ${error.why}` : "";
    const message = cleanMessage(`${errorText(error)}${why}`);
    return {
      answer: request.signal.aborted ? null : { points: null, message },
      log: "",
      leftover: null,
    };
  }
}

async function execute(
  { runner, api, stage, spawner, slot }: SteeringNode,
  { item, spec, signal }: SteeringRequest,
  readOutcome: (work: string, exit: PayloadExit) => Outcome,
): Promise<EvaluationEnd> {
  const { steering } = spec;
  if (isBuiltin(steering) || item.steering === undefined)
    throw new Error("not a steering container");
  if (spawner === undefined || slot === undefined) throw new Error(`no slot ${item.slot}`);
  const command = steeringCommand(steering, item.steering);
  const { image, mounts, environment } = command;
  const exec = command.usesEntrypoint ? throughEntrypoint(command.exec) : command.exec;
  const pointText = await api.getSteeringInput(item.token, signal);
  const { sandboxSha256 } = spec;
  const staged =
    sandboxSha256 === null ? null : await stage.hold(sandboxSha256, item.token, signal);
  try {
    return await runner.run({
      item: { ...item, pointText },
      spec: { ...spec, evaluation: evaluationLike(spec, image, exec) },
      sandboxFile: staged?.file ?? null,
      slot,
      spawner,
      signal,
      readOutcome,
      environment,
      mounts,
      writableRoot: true,
      credentialOf: (registry) => api.getRegistryCredential(item.token, registry, signal),
    });
  } finally {
    staged?.release();
  }
}

/**
 * Starts the words as docker would. Apptainer keeps ENTRYPOINT and CMD of an image that comes from a registry in this file; the
 * run script of an image that was defined otherwise may do anything, so it is left alone.
 */
function throughEntrypoint(words: string): string {
  const script = "/.singularity.d/runscript";
  const plain = words === "" ? `exec ${script}` : `exec ${words}`;
  return `case "$(cat ${script} 2>/dev/null)" in *OCI_ENTRYPOINT=*) exec ${script} ${words};; esac; ${plain}`;
}

function evaluationLike(
  spec: TaskSpecification,
  image: string,
  exec: string,
): TaskSpecification["evaluation"] {
  return {
    ...spec.evaluation,
    container: image,
    exec,
    arguments: "none",
    input: STEERING_INPUT,
    output: STEERING_OUTPUT,
    timeoutSeconds: spec.steeringTimeoutSeconds,
    loopingSeconds: null,
    metadata: null,
    metrics: null,
  };
}

/** The text of %OUT as the container left it; the server checks that it is a list of points. */
function readAnswer(work: string, exit: PayloadExit): { points: string | null; outcome: Outcome } {
  const failed = (message: string): { points: null; outcome: Outcome } => ({
    points: null,
    outcome: {
      type: "failed",
      code: "E_STEERING",
      exitCode: exit.exitCode,
      signal: exit.signal,
      message,
    },
  });
  if (exit.exitCode !== 0) {
    // One line: it becomes part of a sentence.
    const last = lastLines(exit.outputTail, 5, 1_024).split("\n").join(" | ");
    const ended =
      exit.signal === null ? `exited with ${exit.exitCode}` : `was ended by ${exit.signal}`;
    return failed(`the steering ${ended}: ${last === "" ? "it printed nothing" : last}`);
  }
  const found = readTextFile(work, STEERING_OUTPUT);
  if ("problem" in found)
    return failed(
      `the steering exited with 0, but its file %OUT (${STEERING_OUTPUT}) ${found.problem}; its command must write the list of new points there, such as --outfile=%OUT`,
    );
  if (found.text.length > PILOT.steeringOutputBytesMax) {
    return failed(`the steering's file %OUT has more than ${PILOT.steeringOutputBytesMax} bytes`);
  }
  return { points: found.text, outcome: { type: "loss", loss: 0, exitCode: 0, message: "" } };
}

function answerOf(outcome: Outcome | null, points: string | null): SteeringEnd["answer"] {
  if (outcome === null) return null;
  switch (outcome.type) {
    case "loss":
      return { points, message: "" };
    case "timeout":
      return {
        points: null,
        message: `the steering did not end within ${Math.round(outcome.afterSeconds)} s; if it needs longer, submit with --steeringTimeout SECONDS`,
      };
    case "failed":
      return { points: null, message: outcome.message };
    case "interrupted":
      return { points: null, message: outcome.message };
    case "diverged":
      throw new Error("steering has no loss");
    default:
      return assertNever(outcome);
  }
}
