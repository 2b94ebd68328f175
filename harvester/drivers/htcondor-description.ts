/** The submit description of one pilot. Pure. */
import type { BatchOf } from "../../protocol/batch.ts";
import type { SubmitRequest } from "../driver.ts";
import { pilotSize } from "../../protocol/pilot-size.ts";

/** Attribute of a job that names its submission. */
export const TAG_ATTRIBUTE = "HyperpilotSubmission";

/** Lines of the description; `files` are brought to the node and stand in the directory in which the job runs. */
export function submitDescription(
  batch: BatchOf<"htcondor">,
  request: SubmitRequest,
  files: readonly string[],
): string {
  const { submissionId, queue, directory } = request;
  const size = pilotSize(queue);
  return [
    "universe = vanilla",
    "executable = pilot.sh",
    `initialdir = ${directory}`,
    `transfer_input_files = ${files.join(", ")}`,
    "should_transfer_files = YES",
    "when_to_transfer_output = ON_EXIT",
    // Everything worth keeping goes to the server.
    'transfer_output_files = ""',
    "output = pilot.log",
    "error = pilot.err",
    "log = condor.log",
    "getenv = False",
    `request_cpus = ${size.cpus}`,
    `request_memory = ${size.memoryMiB}`,
    ...(size.gpus === 0 ? [] : [`request_gpus = ${size.gpus}`]),
    ...(batch.requirements === null ? [] : [`requirements = ${batch.requirements}`]),
    ...(batch.accountingGroup === null ? [] : [`accounting_group = ${batch.accountingGroup}`]),
    ...(size.walltimeSeconds === null ? [] : [`allowed_job_duration = ${size.walltimeSeconds}`]),
    "kill_sig = SIGTERM",
    // Without it, condor_rm kills at once.
    "want_graceful_removal = True",
    `job_max_vacate_time = ${queue.pilot.noticeSeconds}`,
    `batch_name = hyperpilot-${queue.name}`,
    `+${TAG_ATTRIBUTE} = "${submissionId}"`,
    ...batch.submitLines,
    "queue",
    "",
  ].join("\n");
}
