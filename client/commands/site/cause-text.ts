/** A cause as people read it: what it means, in whose words, what to do, and what the job printed. */
import type { CauseView } from "../../../protocol/site.ts";
import { neutralise } from "../../format.ts";
import type { Output } from "../../output.ts";
import { labelled } from "../../wrap.ts";

const OUTPUT_LINES = 12;
const SAME_IN_ALL_LINES = ["program", "submissionId", "queue"];

export function writeCause(output: Output, cause: CauseView | null, jobOutput: string): void {
  const { columns, isTty } = output.stdout;
  const width = isTty ? Math.min(columns, 120) : Number.POSITIVE_INFINITY;
  const write = (label: string, text: string): void =>
    output.data(labelled(label, neutralise(text), width).join("\n"));
  if (cause !== null) {
    write("Cause ", `${cause.code}: ${cause.means}`);
    if (cause.words !== "") write("Says  ", cause.words);
    write("Do    ", cause.remedy);
  }
  const lines = jobOutput
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "");
  if (lines.length === 0) return;
  output.data(output.paint("faint", "What the job printed last:"));
  for (const line of lines.slice(-OUTPUT_LINES))
    for (const part of labelled("  | ", logLine(line), width)) output.data(part);
}

/** A line of our programs' logs, which are JSON, in words; any other as it is. */
export function logLine(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Of the site's own making.
    return neutralise(line);
  }
  if (typeof value !== "object" || value === null || !("event" in value)) return neutralise(line);
  const { time, level, event, ...rest } = value as Record<string, unknown>;
  const clock = /T(\d\d:\d\d:\d\d)/.exec(String(time))?.[1] ?? "";
  const fields = Object.entries(rest)
    .filter(([key]) => !SAME_IN_ALL_LINES.includes(key))
    .map(([key, inner]) => `${key} ${typeof inner === "string" ? inner : JSON.stringify(inner)}`);
  return neutralise([clock, String(level), String(event), fields.join(", ")].join(" ").trim());
}
