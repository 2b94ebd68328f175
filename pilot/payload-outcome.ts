/** Outcomes of evaluations that did not end by themselves. Pure. */
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import type { InterruptionReason, Outcome } from "../protocol/pilot-messages.ts";
import { formatBytes } from "../protocol/resources.ts";
import { cleanMessage } from "./clean-message.ts";

export function timedOut(afterSeconds: number): Outcome {
  const message = `ended after ${afterSeconds} s, the time that the task allows one evaluation`;
  return { type: "timeout", afterSeconds, message };
}

export function memoryMessage(usedBytes: number, allowedBytes: number): string {
  return `ended because its processes used ${formatBytes(usedBytes)} of memory and a slot of this queue has ${formatBytes(allowedBytes)}; use less, or ask for more with needs.memoryBytes`;
}

/** What went wrong on the way to the payload is the node's fault, unless the task asks for what no node can do. */
export function outcomeOfError(error: unknown): Outcome {
  const text = errorText(error);
  const systemCode = systemErrorCode(error);
  if (error instanceof HyperpilotError) {
    const message = [error.message, error.why, error.remedy]
      .filter((part) => part !== undefined)
      .join("; ");
    switch (error.code) {
      case "E_IMAGE":
        return interrupted("imagePull", message);
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
  if (systemCode === "ENOSPC" || systemCode === "EDQUOT")
    return interrupted("diskFull", `the node's scratch directory is full: ${text}`);
  if (systemCode === undefined) throw error;
  return interrupted("runtime", text);
}

export function interrupted(reason: InterruptionReason, message: string): Outcome {
  return { type: "interrupted", reason, message: cleanMessage(message) };
}
