/** What of a job's output tells why its pilot did not come up. Pure. */

/** Without what the pilot notes when all goes well: it names runtimes that were tried and were not needed. */
export function tellingLines(output: string): string[] {
  return output
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && eventOf(line)?.["level"] !== "info");
}

/** The line that names the error, else the last one, in words where it is one of the pilot's events; "" when there is none. */
export function lastWords(output: string): string {
  const lines = tellingLines(output);
  const line = lines.findLast((one) => /^(?:✗|error:)/i.test(one)) ?? lines.at(-1) ?? "";
  const event = eventOf(line);
  if (event === null) return line;
  const texts = [event["event"], event["error"] ?? event["reason"]];
  return texts.filter((text) => typeof text === "string" && text !== "").join(": ");
}

function eventOf(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{"time":')) return null;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "event" in value ? { ...value } : null;
  } catch {
    // Cut off, or not ours.
    return null;
  }
}
