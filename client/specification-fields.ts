/** A task's specification as a person reads it: fields with what differs from the defaults. */
import { TASK } from "../protocol/limits.ts";
import { describeNeeds } from "../protocol/resources.ts";
import { printedLossName, type TaskSpecification } from "../protocol/task.ts";
import { formatDuration, neutralise } from "./format.ts";

type Field = readonly [string, string];

const SEGMENTS_SHOWN = 5;

/** Name and text of each field; an empty text: nothing to say. */
export function specificationFields(spec: TaskSpecification): Field[] {
  return [
    ["Steering", steeringText(spec)],
    ["Evaluation", evaluationText(spec)],
    ["Needs", needsText(spec)],
    ["Queues", spec.queues.map(neutralise).join(", ")],
    ["Checkpoints", checkpointText(spec)],
    ["Data", dataText(spec)],
    ["Segments", segmentsText(spec)],
    ["Failures", failuresText(spec)],
    ["Kept", keptText(spec)],
  ];
}

function steeringText({ steering, seed, ...spec }: TaskSpecification): string {
  const isContainer = "exec" in steering;
  const how = isContainer
    ? `${neutralise(steering.exec)}${steering.container === null ? " (docker's arguments)" : ` in ${neutralise(steering.container)}`}`
    : steering.method;
  const more = [
    isContainer ? `at most ${formatDuration(spec.steeringTimeoutSeconds)} a run` : "",
    spec.direction === "max" ? "a higher loss is better" : "",
    spec.whileSteering === "random" ? "random points while slots wait" : "",
    spec.duplicates === "reuse" ? "losses of points proposed again are reused" : "",
    `seed ${seed}`,
  ];
  return [how, ...more].filter((text) => text !== "").join("; ");
}

function evaluationText({ evaluation }: TaskSpecification): string {
  const { container, exec, input, output, timeoutSeconds, metadata, metrics } = evaluation;
  const { loopingSeconds } = evaluation;
  const more = [
    input === "input.json" ? "" : `point in ${neutralise(input)}`,
    evaluation.arguments === "options" ? "the point as options --name=value" : "",
    lossText(output),
    metadata === null ? "" : `metadata in ${neutralise(metadata)}`,
    metrics === null ? "" : `metrics in ${neutralise(metrics)}`,
    timeoutSeconds === null ? "" : `at most ${formatDuration(timeoutSeconds)}`,
    loopingText(loopingSeconds),
  ];
  const what = `${neutralise(exec)} in ${neutralise(container)}`;
  return [what, ...more].filter((text) => text !== "").join("; ");
}

function loopingText(loopingSeconds: number | null): string {
  if (loopingSeconds === TASK.loopingSeconds) return "";
  return loopingSeconds === null
    ? "never ended as looping"
    : `looping after ${formatDuration(loopingSeconds)} without a file or CPU time`;
}

function lossText(output: string): string {
  if (output === "output.json") return "";
  if (output === "none") return "exit status 0 is loss 0";
  const printed = printedLossName(output);
  return printed === null
    ? `loss in ${neutralise(output)}`
    : `loss in output.json, else the last "${printed}: <number>" that it prints`;
}

function needsText({ needs }: TaskSpecification): string {
  return neutralise(describeNeeds(needs, true)) + (needs.internet ? "; and the internet" : "");
}

function checkpointText({ checkpoint }: TaskSpecification): string {
  const { save, load, intervalMinutes, keep } = checkpoint;
  if (save.length === 0) return "";
  const back = load === null ? "extracted" : `given back as ${neutralise(load)}`;
  const kept = keep ? "; the last one is kept" : "";
  return `${save.map(neutralise).join(", ")} every ${intervalMinutes} min, ${back}${kept}`;
}

function dataText({ datasets, evaluation }: TaskSpecification): string {
  const { training, output } = datasets;
  return [
    training === null
      ? ""
      : `training files of ${neutralise(training)}, listed in ${neutralise(evaluation.trainingData)}`,
    output === null ? "" : `output in ${neutralise(output)}`,
  ]
    .filter((text) => text !== "")
    .join("; ");
}

function segmentsText({ segments }: TaskSpecification): string {
  if (segments.length === 0) return "";
  const names = segments.slice(0, SEGMENTS_SHOWN).map(({ name }) => neutralise(name));
  const more = segments.length > SEGMENTS_SHOWN ? ", ..." : "";
  return `${segments.length}: ${names.join(", ")}${more}`;
}

function failuresText({ penalty, penaltyLoss, failFast }: TaskSpecification): string {
  const told = {
    large: penaltyLoss === 1e5 ? "" : `told as loss ${penaltyLoss}`,
    worst: "told as the worst loss so far",
    omit: "not told to steering",
  }[penalty];
  return [told, failFast ? "" : "never pause the task"].filter((text) => text !== "").join("; ");
}

function keptText({ clientOptions }: TaskSpecification): string {
  return Object.entries(clientOptions)
    .map(([name, value]) => neutralise(value === "true" ? `--${name}` : `--${name}=${value}`))
    .join(" ");
}
