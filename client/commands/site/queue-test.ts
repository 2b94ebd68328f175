/** `site queue test`: one pilot, followed from its submission to its self-test. */
import { EXIT, HyperpilotError, type ExitCode } from "../../../protocol/errors.ts";
import type { QueueTestAnswer } from "../../../protocol/site.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { formatDuration, neutralise } from "../../format.ts";
import { textOption } from "../../option-values.ts";
import type { Output } from "../../output.ts";
import { parseDuration } from "../../time-text.ts";
import { labelled } from "../../wrap.ts";
import { writeCause } from "./cause-text.ts";

/** Long enough for a place in a busy cluster that may come soon. */
export const TEST_SECONDS = 600;
/** A reason that is not just waiting may pass within so long: a question that failed once, a server that restarts. */
const STUCK_SECONDS = 20;
const POLL_MS = 500;

/** `site queue test`. Ends with 1 when the pilot does not come up, with 8 when it still waits at the end of the time. */
export const run: Run = async ({ args, options, context }) => {
  const timeoutSeconds = parseDuration(
    textOption(options, "timeout") ?? `${TEST_SECONDS}s`,
    "timeout",
  );
  return testQueue(context, await context.api(), { name: args[0] ?? "", timeoutSeconds });
};

export interface TestWish {
  readonly name: string;
  readonly timeoutSeconds: number;
}

/** Errors: E_CONFLICT when nothing can be submitted now, E_NOT_FOUND. */
export async function testQueue(context: Context, api: Api, wish: TestWish): Promise<ExitCode> {
  const { output, clock } = context;
  const { name, timeoutSeconds } = wish;
  const { submissionId } = await api.call("testQueue", { params: { name } });
  output.talk(`Test pilot ${submissionId} goes to ${neutralise(name)}; Ctrl-C takes it back.`);
  const interrupt = new AbortController();
  const stopListening = context.onInterrupt(() => interrupt.abort());
  const progress = createProgress(output);
  const stuckFor = createStuckness();
  try {
    for (;;) {
      const test = await api.call("showQueueTest", { params: { name, id: submissionId } });
      progress(test);
      if (test.result !== "running") return finish(output, test, "ended");
      const isStuck = stuckFor(test) >= STUCK_SECONDS;
      const isOver = test.seconds >= timeoutSeconds;
      const isInterrupted = interrupt.signal.aborted;
      if (isStuck || isOver || isInterrupted) {
        await takeBack(api, submissionId);
        return finish(output, test, isInterrupted ? "interrupted" : isStuck ? "stuck" : "overdue");
      }
      await clock.sleep(POLL_MS);
    }
  } finally {
    stopListening();
  }
}

/** Seconds for which a test has had the same reason that waiting does not cure. */
function createStuckness(): (test: QueueTestAnswer) => number {
  let code = "";
  let sinceSeconds = 0;
  return ({ cause, seconds }) => {
    const now = cause === null || cause.waits ? "" : cause.code;
    if (now !== code) {
      code = now;
      sinceSeconds = seconds;
    }
    return code === "" ? 0 : seconds - sinceSeconds;
  };
}

/** It may have ended in this moment. */
async function takeBack(api: Api, id: string): Promise<void> {
  try {
    await api.call("endPilot", { params: { id }, body: { kill: true } });
  } catch (error) {
    if (!(error instanceof HyperpilotError) || error.code !== "E_NOT_FOUND") throw error;
  }
}

/** Tells each stage once it is passed, and what a waiting one says whenever that changes. */
function createProgress(output: Output): (test: QueueTestAnswer) => void {
  const told = new Set<string>();
  return (test) => {
    if (output.json) return;
    for (const { stage, status, sentence } of test.stages) {
      if (status !== "ok" && status !== "waits") continue;
      // That a job is submitted is known a moment later.
      if (status === "waits" && sentence === "") continue;
      const key = `${stage} ${status} ${status === "waits" ? sentence : ""}`;
      if (told.has(key)) continue;
      told.add(key);
      writeStage(output, stage, status === "ok" ? "✓" : "…", sentence);
    }
  };
}

function writeStage(output: Output, stage: string, mark: string, sentence: string): void {
  const { isTty, columns } = output.stdout;
  const width = isTty ? Math.min(columns, 120) : Number.POSITIVE_INFINITY;
  const label = `${mark} ${stage.padEnd(9)}  `;
  output.data(
    labelled(label, neutralise(sentence), width)
      .map((line) => line.trimEnd())
      .join("\n"),
  );
}

type Ending = "ended" | "stuck" | "overdue" | "interrupted";

function finish(output: Output, test: QueueTestAnswer, ending: Ending): ExitCode {
  const exit =
    test.result === "passed"
      ? EXIT.success
      : ending === "interrupted"
        ? EXIT.interrupted
        : ending === "overdue"
          ? EXIT.notFinished
          : EXIT.failed;
  if (output.json) {
    output.item("QueueTest", test);
    return exit;
  }
  const queue = neutralise(test.queue);
  const after = formatDuration(test.seconds);
  if (test.result === "passed") {
    output.data(`✓ Queue ${queue} works: a pilot came up in ${after}.`);
    return exit;
  }
  const stage = test.stages.find(({ status }) => status === "broken" || status === "waits");
  if (stage?.status === "broken") writeStage(output, stage.stage, "✗", stage.sentence);
  const where = `before it was ${words(stage?.stage ?? "submitted")}`;
  output.data(
    ending === "overdue"
      ? `✗ The test pilot still waits after ${after}, ${where}; it was taken back.`
      : ending === "interrupted"
        ? `The test pilot was taken back after ${after}, ${where}.`
        : `✗ Queue ${queue} does not work: the test pilot stopped ${where}.`,
  );
  writeCause(output, test.cause, test.output);
  return exit;
}

function words(stage: string): string {
  return stage === "selfTest" ? "through its self-test" : stage;
}
