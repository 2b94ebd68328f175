/** What the text of an output file means. Pure. */
import { HyperpilotError } from "../protocol/errors.ts";
import { type JsonNode, memberOf, parseJsonText } from "../protocol/json-text.ts";
import { PILOT } from "../protocol/limits.ts";
import type { Outcome } from "../protocol/pilot-messages.ts";
import { cleanMessage, lastLines } from "./clean-message.ts";

/** How the payload ended. */
export interface PayloadExit {
  readonly exitCode: number;
  /** Name of the signal that ended it, or null. */
  readonly signal: string | null;
  /** The end of its output, quoted where there is nothing better to tell. */
  readonly outputTail: string;
}

const EXPECTED = 'write {"loss": <number>}';
const VALUE_BYTES_MAX = 32;

/**
 * The outcome that an output file states: `{"status":0,"loss":0.12,"message":"..."}`. Without status it is 0. A valid
 * file counts whatever the exit code was. Only here NaN and infinities are read, and mean `diverged`.
 */
export function interpretOutput(text: string, name: string, exit: PayloadExit): Outcome {
  if (text.trim() === "") return badOutput(`${name} is empty; ${EXPECTED} to it`, exit);
  let node: JsonNode;
  try {
    node = parseJsonText(text, {
      name,
      bytesMax: PILOT.outputJsonBytesMax,
      allowNonFinite: true,
    });
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    return badOutput(`${name} is not JSON: ${error.message}`, exit);
  }
  if (node.type !== "object")
    return badOutput(`${name} holds ${described(node)}, not an object; ${EXPECTED} to it`, exit);
  return interpretObject(node, name, exit);
}

function interpretObject(node: JsonNode, name: string, exit: PayloadExit): Outcome {
  const message = messageOf(memberOf(node, "message"));
  const status = memberOf(node, "status");
  if (status !== undefined && status.type !== "number" && status.type !== "null")
    return badOutput(`"status" in ${name} is ${described(status)}, not a number`, exit);
  if (status?.type === "number" && status.value !== 0) {
    const told = message === "" ? "no message" : message;
    return failed("E_PAYLOAD", `${name} has status ${status.raw.slice(0, 32)}: ${told}`, exit);
  }
  const loss = memberOf(node, "loss");
  if (loss?.type !== "number") {
    const found = loss === undefined ? "is missing" : `is ${described(loss)}, not a number`;
    return badOutput(`"loss" in ${name} ${found}; ${EXPECTED} to it`, exit);
  }
  const { exitCode } = exit;
  if (!Number.isFinite(loss.value))
    return { type: "diverged", value: loss.raw.slice(0, VALUE_BYTES_MAX), exitCode, message };
  return { type: "loss", loss: loss.value, exitCode, message };
}

/** There is no output file: an error of the payload when it says so by its exit code, else a file that it forgot. */
export function missingOutput(name: string | null, exit: PayloadExit): Outcome {
  const end = exit.signal === null ? `exited with ${exit.exitCode}` : `was ended by ${exit.signal}`;
  const wrote = name === null ? "" : ` and wrote no ${name}`;
  if (exit.exitCode === 0 && name !== null)
    return badOutput(`${end}${wrote}; ${EXPECTED} to it, or use --evaluationOutput none`, exit);
  return failed("E_PAYLOAD", `${end}${wrote}${quotedTail(exit)}`, exit);
}

export function badOutput(message: string, exit: PayloadExit): Outcome {
  const end = exit.exitCode === 0 ? "" : ` (exit code ${exit.exitCode})${quotedTail(exit)}`;
  return failed("E_BAD_OUTPUT", message + end, exit);
}

function quotedTail(exit: PayloadExit): string {
  const tail = lastLines(exit.outputTail);
  return tail === "" ? "; its output is empty" : `; its output ends with:\n${tail}`;
}

function failed(code: "E_PAYLOAD" | "E_BAD_OUTPUT", message: string, exit: PayloadExit): Outcome {
  const { exitCode, signal } = exit;
  return { type: "failed", code, exitCode, signal, message: cleanMessage(message) };
}

function messageOf(node: JsonNode | undefined): string {
  if (node === undefined || node.type === "null") return "";
  return cleanMessage(node.type === "string" ? node.value : node.raw);
}

function described(node: JsonNode): string {
  switch (node.type) {
    case "null":
      return "null";
    case "boolean":
      return node.raw;
    case "number":
      return `the number ${node.raw.slice(0, VALUE_BYTES_MAX)}`;
    case "string":
      return `the string ${cleanMessage(node.raw, 64)}`;
    case "array":
      return "a list";
    case "object":
      return "an object";
  }
}
