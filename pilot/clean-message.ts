import { PILOT } from "../protocol/limits.ts";

/** Terminal sequences: CSI with its parameters, OSC up to its end, and any other escape with one character. */
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;

/**
 * A payload's text for people: without control characters but line ends, without characters that turn the direction of
 * writing, at most `bytesMax` bytes of UTF-8, cut between characters.
 */
export function cleanMessage(text: string, bytesMax: number = PILOT.messageBytesMax): string {
  const clean = text
    .replaceAll(ESCAPES, "")
    .replaceAll("\r\n", "\n")
    .replaceAll("\t", " ")
    .replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}]/gu, "")
    .trim();
  return cutBytes(clean, bytesMax);
}

/** The last lines of an output, cleaned, for a message: `linesMax` at most. */
export function lastLines(output: string, linesMax = 10, bytesMax = 2_048): string {
  const lines = cleanMessage(output, Number.MAX_SAFE_INTEGER).split("\n").slice(-linesMax);
  const text = lines.join("\n");
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  // The end matters most; a character that is cut at the front is left out.
  return bytes
    .subarray(bytes.length - bytesMax)
    .toString("utf8")
    .replace(/^\ufffd+/, "");
}

function cutBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  return bytes
    .subarray(0, bytesMax)
    .toString("utf8")
    .replace(/\ufffd+$/, "");
}
