/** Names and globs of what is saved of a work directory. Pure. */
import { HyperpilotError } from "../protocol/errors.ts";

/** `whole`: it is saved, a directory with all that is in it. `above`: something below may be. */
export type Selection = "whole" | "above" | "no";

/** Says which paths below a directory are selected. */
export interface CheckpointNames {
  selects(parts: readonly string[]): Selection;
}

/**
 * Names are relative; `*`, `?` and `[...]` stand for parts of one name, `**` for any number of directories. As in a shell, a
 * leading dot must be written. Errors: E_PAYLOAD when a name leads out of the directory.
 */
export function checkpointNames(names: readonly string[]): CheckpointNames {
  const patterns = names.map(partsOf);
  return {
    selects: (parts) => {
      let best: Selection = "no";
      for (const pattern of patterns) {
        const found = relation(pattern, parts);
        if (found === "whole") return "whole";
        if (found === "above") best = "above";
      }
      return best;
    },
  };
}

/** Everything is selected. */
export const EVERYTHING: CheckpointNames = { selects: () => "whole" };

function partsOf(name: string): readonly string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  // The work directory itself: an empty pattern, which everything is below.
  if (parts.length === 0 && /^\.(\/|$)/.test(name)) return [];
  if (!name.startsWith("/") && !name.includes("\0") && parts.length > 0 && !parts.includes(".."))
    return parts;
  throw new HyperpilotError({
    code: "E_PAYLOAD",
    message: `${JSON.stringify(name)} cannot be saved`,
    why: "it is no name below the work directory",
    remedy: "name files of --checkPointToSave relative to the work directory",
  });
}

/** How a path and a pattern lie to each other, part by part. States are places in the pattern, so the work is bounded. */
function relation(pattern: readonly string[], parts: readonly string[]): Selection {
  let places = closure(pattern, new Set([0]));
  for (const part of parts) {
    if (places.has(pattern.length)) return "whole";
    const next = new Set<number>();
    for (const place of places) {
      const one = pattern[place];
      if (one === undefined) continue;
      if (one === "**") {
        if (part.startsWith(".")) continue;
        next.add(place + 1 === pattern.length ? pattern.length : place);
      } else if (matchesPart(one, part)) next.add(place + 1);
    }
    places = closure(pattern, next);
    if (places.size === 0) return "no";
  }
  return places.has(pattern.length) ? "whole" : "above";
}

/** `**` may stand for no directory at all; at the end of a pattern it stands for what is in the directory. */
function closure(pattern: readonly string[], places: Set<number>): Set<number> {
  for (const place of places)
    if (pattern[place] === "**" && place + 1 < pattern.length) places.add(place + 1);
  return places;
}

/** Whether one name fits one part of a pattern: linear in both, as a name may be made to be slow for anything that tries all ways. */
function matchesPart(pattern: string, name: string): boolean {
  const tokens = tokensOf(pattern);
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  const characters = Array.from(name);
  let token = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < characters.length) {
    const one = tokens[token];
    if (one === "*") {
      star = token;
      starAt = at;
      token += 1;
    } else if (one !== undefined && one(characters[at] ?? "")) {
      token += 1;
      at += 1;
    } else if (star >= 0) {
      token = star + 1;
      starAt += 1;
      at = starAt;
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest === "*");
}

type Token = "*" | ((character: string) => boolean);

function tokensOf(pattern: string): readonly Token[] {
  const characters = Array.from(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; at += 1) {
    const one = characters[at] ?? "";
    const end = one === "[" ? characters.indexOf("]", at + 2) : -1;
    if (one === "*") tokens.push("*");
    else if (one === "?") tokens.push(() => true);
    else if (end > 0) {
      tokens.push(classOf(characters.slice(at + 1, end)));
      at = end;
    } else tokens.push((character) => character === one);
  }
  return tokens;
}

/** `[abc]`, `[a-z]`, `[!abc]`. */
function classOf(inner: readonly string[]): (character: string) => boolean {
  const isNegated = inner[0] === "!" || inner[0] === "^";
  const members = isNegated ? inner.slice(1) : inner;
  const ranges: [string, string][] = [];
  for (let at = 0; at < members.length; at += 1) {
    const from = members[at] ?? "";
    const to = members[at + 1] === "-" ? members[at + 2] : undefined;
    ranges.push([from, to ?? from]);
    if (to !== undefined) at += 2;
  }
  return (character) =>
    ranges.some(([from, to]) => character >= from && character <= to) !== isNegated;
}
