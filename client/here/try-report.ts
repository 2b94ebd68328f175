/** What a trial has shown, for a person or a program. */
import { formatBytes } from "../../protocol/resources.ts";
import {
  effectiveLimits,
  isBuiltin,
  searchCount,
  type EffectiveLimits,
  type TaskSpecification,
} from "../../protocol/task.ts";
import type { Context } from "../context.ts";
import { writeFields } from "../fields.ts";
import { formatDuration, formatLoss, neutralise } from "../format.ts";
import type { FoundFile } from "../submit/files.ts";
import { parametersText } from "../words.ts";
import { outcomeWords } from "./failure.ts";
import { forecastSeconds, forecastWords } from "./forecast.ts";
import type { Search } from "./search.ts";
import type { TryPlan } from "./try-plan.ts";
import type { SeenTrial } from "./try-watch.ts";

export interface Trial extends SeenTrial {
  readonly runtime: string | null;
  readonly memoryBytesPeak: number | null;
}

export interface TrialReport extends Trial {
  readonly search: Search;
  readonly plan: TryPlan;
  readonly files: readonly FoundFile[];
  /** What evaluations were shown for this trial only: their queue has to show it as well. */
  readonly shown: readonly string[];
}

const FILES_SHOWN_MAX = 8;

export function tellTrial(context: Context, report: TrialReport): void {
  const { output, clock } = context;
  if (output.json) {
    output.item("Trial", trialItem(report));
    return;
  }
  const { outcome, search, plan } = report;
  const { spec } = search;
  const limits = limitsOfAll(spec);
  const hasForecast = outcome.type === "loss" || outcome.type === "diverged";
  const isTty = output.stdout.isTty;
  writeFields(output, [
    ["Files", filesWords(report.files)],
    ["Runtime", runtimeWords(report)],
    ["Point", isTty ? parametersText(report.text) : neutralise(report.text)],
    ["Loss", lossWords(report, isTty)],
    ["Time", `${formatDuration(report.evaluationSeconds)} for the evaluation, ${askWords(report)}`],
    ["Memory", memoryWords(report)],
    ...(hasForecast
      ? [["Forecast", forecastWords({ limits, measured: report, nowMs: clock.wallMs() })] as const]
      : []),
    ...plan.notes.map((note) => ["Note", note] as const),
    ...report.shown.map((path) => ["Note", shownWords(path)] as const),
  ]);
  if (!hasForecast) return;
  output.talk(
    "Not known: how long slots are waited for, and how much longer other points take than this one.",
  );
  if (outcome.type === "loss") output.talk("Next  for real: the same command without --try");
}

/** Of all segments together: they are searched side by side. */
function limitsOfAll(spec: TaskSpecification): EffectiveLimits {
  const searches = searchCount(spec);
  const limits = effectiveLimits(spec.limits, isBuiltin(spec.steering), searches);
  return {
    ...limits,
    maxPoints: limits.maxPoints * searches,
    nPointsPerIteration: limits.nPointsPerIteration * searches,
  };
}

function shownWords(path: string): string {
  return `evaluations were shown ${neutralise(path)}; for real, their queue must: hyperpilot up --readOnlyPath ${neutralise(path)}`;
}

function trialItem(report: TrialReport): object {
  const { search, files, outcome, askSeconds, evaluationSeconds } = report;
  const limits = limitsOfAll(search.spec);
  return {
    files: largestFirst(files),
    runtime: report.runtime,
    image: search.spec.evaluation.container,
    point: { pointId: report.pointId, text: report.text },
    outcome,
    askSeconds,
    evaluationSeconds,
    memoryBytesPeak: report.memoryBytesPeak,
    forecastSeconds: forecastSeconds(limits, { askSeconds, evaluationSeconds }),
    notes: report.plan.notes,
    shownPaths: report.shown,
  };
}

function largestFirst(files: readonly FoundFile[]): readonly FoundFile[] {
  return [...files].sort((a, b) => b.sizeBytes - a.sizeBytes);
}

function filesWords(files: readonly FoundFile[]): string {
  if (files.length === 0) return "none go along";
  const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const shown = largestFirst(files)
    .slice(0, FILES_SHOWN_MAX)
    .map(({ path, sizeBytes }) => `${neutralise(path)} ${formatBytes(sizeBytes)}`);
  const more = files.length - shown.length;
  const count = files.length === 1 ? "1 file" : `${files.length} files`;
  return `${count}, ${formatBytes(bytes)}: ${shown.join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}

function runtimeWords({ runtime, search }: TrialReport): string {
  const { steering, evaluation } = search.spec;
  const image =
    evaluation.container === "host:" ? "host: (this machine's own programs)" : evaluation.container;
  const steered = isBuiltin(steering)
    ? ""
    : `, steering in ${neutralise(steering.container ?? "the image of --steeringExec")}`;
  return `${runtime ?? "none was chosen"}, image ${neutralise(image)}${steered}`;
}

function lossWords({ outcome }: TrialReport, isTty: boolean): string {
  if (outcome.type !== "loss") return outcomeWords(outcome);
  const loss = isTty ? formatLoss(outcome.loss) : String(outcome.loss);
  const message = outcome.message === "" ? "" : ` (${neutralise(outcome.message)})`;
  const code = outcome.exitCode === 0 ? "" : `, though its exit code was ${outcome.exitCode}`;
  return `${loss}${message}${code}`;
}

function askWords({ askSeconds, search }: TrialReport): string {
  const { steering } = search.spec;
  const who = isBuiltin(steering) ? steering.method : "the steering container";
  return `${formatDuration(askSeconds)} for ${who} to propose`;
}

function memoryWords({ memoryBytesPeak, plan }: TrialReport): string {
  if (memoryBytesPeak === null) return "not seen, it ended too soon";
  return `about ${formatBytes(memoryBytesPeak)} at the most, of ${formatBytes(plan.spec.needs.memoryBytes)} that it may use`;
}
