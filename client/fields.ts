/** One thing with its properties: aligned on a terminal, name and value separated by a tab in a pipe. */
import { displayWidth, neutralise } from "./format.ts";
import type { Output } from "./output.ts";

/** Fields with an empty value are left out; values may be painted, so they come neutralised. */
export function writeFields(output: Output, fields: readonly (readonly [string, string])[]): void {
  const shown = fields.filter(([, value]) => value !== "");
  const width = Math.max(0, ...shown.map(([name]) => displayWidth(name)));
  const lines = shown.map(([name, value]) => {
    if (!output.stdout.isTty) return `${neutralise(name)}\t${value}`;
    const padded = neutralise(name) + " ".repeat(Math.max(0, width - displayWidth(name)));
    return `${output.paint("faint", padded)}  ${value}`;
  });
  if (lines.length > 0) output.data(lines.join("\n"));
}
