/** A loss read from what a program prints, for programs that write no output file. Pure. */
import type { Outcome } from "../protocol/pilot-messages.ts";
import { cleanMessage } from "./clean-message.ts";
import { type PayloadExit, badOutput, missingOutput } from "./output-json.ts";

const NUMBER = String.raw`[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)`;
const VALUE_BYTES_MAX = 32;

/**
 * The last `name: number` or `name=number` of a text: in any case, also within a line (`epoch 3, loss: 0.12`), in JSON or
 * Python's way of printing (`"loss": 0.12`, `loss: tensor(0.12)`), but not as the end of another name (`val_loss`). The text of
 * the number, or null. A carriage return separates lines: progress bars write them.
 */
export function lastPrinted(output: string, name: string): string | null {
  const text = cleanMessage(output.replaceAll("\r", "\n"), Number.MAX_SAFE_INTEGER);
  const pattern = new RegExp(
    `(?<![\\w./-])${name.replaceAll(/[.\\-]/g, "\\$&")}["']?\\s*[:=]\\s*(?:tensor\\()?(${NUMBER})(?!\\w|\\.\\w|,\\d)`,
    "gi",
  );
  let last: string | null = null;
  for (const [, number = null] of text.matchAll(pattern)) last = number;
  return last;
}

/** The outcome that a program without an output file has printed. What stands before a failure is no result. */
export function interpretPrinted(output: string, name: string, exit: PayloadExit): Outcome {
  const { exitCode } = exit;
  if (exitCode !== 0) return missingOutput(null, exit);
  const text = lastPrinted(output, name);
  if (text === null)
    return badOutput(
      `exited with 0, printed no "${name}: <number>" and wrote no output.json; print it at the end, in Python: print("${name}:", ${name})`,
      exit,
    );
  const loss = Number(text.replace(/^([+-]?)inf.*$/i, "$1Infinity"));
  if (!Number.isFinite(loss))
    return { type: "diverged", value: text.slice(0, VALUE_BYTES_MAX), exitCode, message: "" };
  return { type: "loss", loss, exitCode, message: "" };
}
