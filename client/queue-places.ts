/** Where the fields of a queue's file stand, for messages with a line. Parsers give no places of what they have read. */
import type { JsonNode } from "../protocol/json-text.ts";

/** Line of each path in a TOML text, from 1; `limits` is the line of its table. */
export function tomlLines(text: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  let table: readonly string[] = [];
  let open: Open = { depth: 0, quotes: null };
  for (const [index, line] of text.split("\n").entries()) {
    const isInside = open.depth > 0 || open.quotes !== null;
    if (!isInside) {
      const header = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?/.exec(line)?.[1];
      const key =
        /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(
          line,
        )?.[1];
      if (header !== undefined) table = keyParts(header);
      const path =
        header !== undefined ? table : key === undefined ? null : [...table, ...keyParts(key)];
      if (path !== null && !lines.has(path.join("."))) lines.set(path.join("."), index + 1);
      if (header !== undefined) continue;
    }
    open = afterLine(line, open);
  }
  return lines;
}

function keyParts(text: string): string[] {
  return (text.match(/[\w-]+|"[^"]*"|'[^']*'/g) ?? []).map((part) =>
    part.replace(/^["']|["']$/g, ""),
  );
}

interface Open {
  /** Brackets and braces that are not closed. */
  readonly depth: number;
  /** Kind of a multi-line text that is not closed. */
  readonly quotes: '"""' | "'''" | null;
}

/** What is still open after a line. */
function afterLine(line: string, before: Open): Open {
  let { depth, quotes } = before;
  for (let rest = line; rest !== "";) {
    if (quotes !== null) {
      const end = rest.indexOf(quotes);
      if (end < 0) return { depth, quotes };
      rest = rest.slice(end + 3);
      quotes = null;
      continue;
    }
    const match = /"""|'''|"(?:[^"\\]|\\.)*"|'[^']*'|#.*|[[\]{}]/.exec(rest);
    if (match === null) break;
    const [token] = match;
    rest = rest.slice(match.index + token.length);
    if (token === '"""' || token === "'''") quotes = token;
    else if (token === "[" || token === "{") depth += 1;
    else if (token === "]" || token === "}") depth -= 1;
  }
  return { depth: Math.max(0, depth), quotes };
}

/** Line of each path in a JSON document. */
export function jsonLines(text: string, node: JsonNode): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  const walk = (path: string, at: JsonNode): void => {
    if (at.type !== "object") return;
    for (const { key, keyStart, value } of at.members) {
      const below = path === "" ? key : `${path}.${key}`;
      lines.set(below, text.slice(0, keyStart).split("\n").length);
      walk(below, value);
    }
  };
  walk("", node);
  return lines;
}

/** The line of a path, else that of the nearest one above it; null when none is known. */
export function lineOf(lines: ReadonlyMap<string, number>, path: string): number | null {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    const line = lines.get(at);
    if (line !== undefined) return line;
  }
  return null;
}
