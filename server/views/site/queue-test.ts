/** How far a test pilot has come, and where it stopped. Pure. */
import { formatBytes, type Capacity } from "../../../protocol/resources.ts";
import type { QueueConfig } from "../../../protocol/queue.ts";
import type { CauseView, QueueTestAnswer, TestStageName } from "../../../protocol/site.ts";
import { TEST_STAGES } from "../../../protocol/site.ts";
import type { TestPilot } from "../../live.ts";
import { BATCH_CAUSES } from "../../queues/causes/batch-causes.ts";
import { causeIn, foundCause, type FoundCause } from "../../queues/causes/cause.ts";
import { PILOT_CAUSES } from "../../queues/causes/pilot-causes.ts";
import { ageText, count } from "../../queues/stages/stage.ts";
import { lastWords, tellingLines } from "../../queues/job-lines.ts";

type TestStage = QueueTestAnswer["stages"][number];

export function queueTestView(queue: QueueConfig, test: TestPilot, nowMs: number): QueueTestAnswer {
  const { submissionId, report, ended, capacity } = test;
  const failure = failureOf(queue, test);
  const reached = stageReached(test);
  const stages = TEST_STAGES.map((stage, index): TestStage => {
    const sentence = sentenceOf(stage, test);
    if (index < reached) return { stage, status: "ok", sentence };
    if (index > reached) return { stage, status: "notReached", sentence: "" };
    if (failure !== null) return { stage, status: "broken", sentence: failure.words };
    return { stage, status: capacity === null ? "waits" : "ok", sentence };
  });
  const output = ended?.output ?? report?.output ?? "";
  const waiting = capacity === null && failure === null ? waitingCause(queue, test) : null;
  return {
    submissionId,
    queue: queue.name,
    result: capacity !== null ? "passed" : failure === null ? "running" : "failed",
    stages,
    seconds: Math.max(0, nowMs - test.startedMs) / 1_000,
    cause: failure ?? waiting,
    output,
  };
}

/** Index of the stage at which it is now. */
function stageReached({ report, ended, capacity, connectedMs }: TestPilot): number {
  const at = (stage: TestStageName): number => TEST_STAGES.indexOf(stage);
  if (capacity !== null) return at("selfTest");
  if (connectedMs !== null) return at("selfTest");
  if (ended !== null) return ended.taken ? at("connected") : at("submitted");
  if (report === null || report.batchId === null) return at("submitted");
  if (report.state === "running") return at("connected");
  return report.state === "queued" ? at("started") : at("queued");
}

function failureOf(queue: QueueConfig, { report, ended, capacity }: TestPilot): CauseView | null {
  if (capacity !== null) return null;
  const refused = /^submit failed: (.*)$/s.exec(report?.detail ?? "")?.[1];
  if (refused !== undefined || ended?.taken === false) {
    const words = refused ?? ended?.detail ?? "";
    return { ...(causeIn(BATCH_CAUSES, queue, words) ?? foundCause(REFUSED, queue)), words };
  }
  if (ended === null) return null;
  const { detail, output } = ended;
  const telling = tellingLines(output).join("\n");
  const cause = causeIn(PILOT_CAUSES, queue, telling) ?? causeIn(PILOT_CAUSES, queue, detail);
  const batch = causeIn(BATCH_CAUSES, queue, detail);
  const known: FoundCause | null = cause ?? (batch?.waits === false ? batch : null);
  const words = lastWords(output) || detail;
  return { ...(known ?? foundCause(ENDED, queue)), words };
}

/** Why it waits, or what a running job says that does not connect. */
function waitingCause(queue: QueueConfig, { report }: Pick<TestPilot, "report">): CauseView | null {
  if (report === null) return null;
  const { state, detail: words, output } = report;
  const cause =
    state === "running"
      ? causeIn(PILOT_CAUSES, queue, tellingLines(output).join("\n"))
      : causeIn(BATCH_CAUSES, queue, words);
  return cause === null ? null : { ...cause, words };
}

function sentenceOf(stage: TestStageName, { report, capacity, slots }: TestPilot): string {
  switch (stage) {
    case "submitted":
      return report?.batchId == null ? "" : `job ${report.batchId}`;
    case "queued":
      return report?.state === "queued" ? report.detail : "";
    case "started":
      return report?.state === "running" ? report.detail : "";
    case "connected":
      return capacity === null ? "" : `from node ${capacity.node}`;
    case "selfTest":
      return capacity === null ? "" : capacityText(capacity, slots);
  }
}

function capacityText(capacity: Capacity, slots: number): string {
  const { cpus, memoryBytes, scratchBytes, gpus, runtimes, walltimeLeftSeconds } = capacity;
  const walltime =
    walltimeLeftSeconds === null
      ? "no walltime known"
      : `${ageText(walltimeLeftSeconds * 1_000)} of walltime left`;
  // As queues state it.
  const memory = `${Math.round(memoryBytes / 1_048_576)} MiB`;
  return [
    `${count(slots, "slot")} in ${count(cpus, "CPU")} and ${memory}`,
    gpus.length === 0 ? "no GPU" : count(gpus.length, "GPU"),
    `scratch ${formatBytes(scratchBytes)}`,
    walltime,
    `runtimes ${runtimes.join(", ")}`,
  ].join("; ");
}

const REFUSED = {
  code: "submitFailed",
  means: "The batch system refused the pilot; its words stand beside.",
  remedy:
    "Run the same command by hand as the harvester's user; compare with: hyperpilot site queue show QUEUE",
};

const ENDED = {
  code: "pilotNeverConnected",
  means: "The job ended before its pilot had connected; what it printed stands below.",
  remedy: "Run the script pilot.sh of the submission by hand on a node of the site.",
};
