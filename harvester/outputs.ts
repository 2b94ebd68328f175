/** What batch jobs have printed: brought here where the system keeps it, cut to its end, without secrets. */
import { errorText } from "../protocol/errors.ts";
import type { SubmissionReport } from "../protocol/harvester-messages.ts";
import { HARVESTER } from "../protocol/limits.ts";
import type { Logger } from "../common/log.ts";
import type { BatchDriver } from "./driver.ts";
import type { Submissions } from "./submissions.ts";

export interface Outputs {
  /** End of a job's output; "" when there is none. That it cannot be had keeps nothing from going on. */
  of(submissionId: string, bytesMax?: number): Promise<string>;
  /** The reports, with the output of jobs that run and whose pilots do not connect. */
  addTo(
    reports: readonly SubmissionReport[],
    connected: ReadonlySet<string>,
  ): Promise<SubmissionReport[]>;
}

export interface OutputsDeps {
  readonly submissions: Pick<Submissions, "directoryOf" | "outputOf">;
  readonly driver: Pick<BatchDriver, "fetchOutput">;
  readonly log: Logger;
}

export function createOutputs({ submissions, driver, log }: OutputsDeps): Outputs {
  async function of(
    submissionId: string,
    bytesMax: number = HARVESTER.reportedOutputBytesMax,
  ): Promise<string> {
    try {
      await driver.fetchOutput?.(submissionId, submissions.directoryOf(submissionId));
      return submissions.outputOf(submissionId, bytesMax) ?? "";
    } catch (error) {
      log.warn("outputNotRead", { submissionId, error: errorText(error) });
      return "";
    }
  }

  return {
    of,
    async addTo(reports, connected) {
      const silent = reports
        .filter((one) => one.state === "running" && !connected.has(one.submissionId))
        .slice(0, HARVESTER.reportedOutputsMax);
      const outputs = new Map<string, string>();
      for (const { submissionId } of silent) outputs.set(submissionId, await of(submissionId));
      return reports.map((one) => ({ ...one, output: outputs.get(one.submissionId) ?? "" }));
    },
  };
}
