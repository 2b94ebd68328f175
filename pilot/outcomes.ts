/** Outcomes of evaluations whose payload did not end by itself, or never began. */
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import type { InterruptionReason, Outcome } from "../protocol/pilot-messages.ts";
import { formatBytes } from "../protocol/resources.ts";
import { cleanMessage } from "./clean-message.ts";
import { ImageError } from "./images/image-errors.ts";

/** What went wrong on the way to the payload is the node's fault, unless the task asks for what no node can do. */
export function outcomeOfError(error: unknown): Outcome {
  const systemCode = systemErrorCode(error);
  if (error instanceof HyperpilotError) return outcomeOfOurError(error);
  const text = errorText(error);
  if (systemCode === "ENOSPC" || systemCode === "EDQUOT")
    return interrupted("diskFull", `the node's scratch directory is full: ${text}`);
  if (systemCode === undefined) throw error;
  return interrupted("runtime", text);
}

function outcomeOfOurError(error: HyperpilotError): Outcome {
  const message = [error.message, error.why, error.remedy]
    .filter((part) => part !== undefined)
    .join("; ");
  switch (error.code) {
    case "E_IMAGE": {
      const outcome = interrupted("imagePull", message);
      // A path that is not there, or a form that the runtimes here do not run.
      const imageCause = error instanceof ImageError ? error.imageCause : "unfit";
      return imageCause === null ? outcome : { ...outcome, imageCause };
    }
    case "E_STORAGE_FULL":
      return interrupted("diskFull", message);
    case "E_PAYLOAD":
    case "E_FILE":
      return {
        type: "failed",
        code: error.code,
        exitCode: 0,
        signal: null,
        message: cleanMessage(message),
      };
    default:
      return interrupted("runtime", message);
  }
}

export function interrupted(
  reason: InterruptionReason,
  message: string,
): Extract<Outcome, { type: "interrupted" }> {
  return { type: "interrupted", reason, message: cleanMessage(message) };
}

export function timedOut(afterSeconds: number): Outcome {
  const message = `ended after ${afterSeconds} s, the time that the task allows one evaluation`;
  return { type: "timeout", afterSeconds, message };
}

/** Uses an attempt, as a time-out does. */
export function looping(quietSeconds: number, afterSeconds: number): Outcome {
  const message = `ended as looping: for ${quietSeconds} s it wrote no file and used no CPU time; if it may be quiet for so long, submit with --loopingTimeout SECONDS, or none`;
  return { type: "timeout", afterSeconds, message };
}

export function memoryMessage(usedBytes: number, allowedBytes: number): string {
  return `ended because its processes used ${formatBytes(usedBytes)} of memory and a slot of this queue has ${formatBytes(allowedBytes)}; use less, or ask for more with needs.memoryBytes`;
}
