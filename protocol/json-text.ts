/**
 * Reader of JSON that users wrote: bounded, lossless, with places. JSON.parse loses 1.0, big integers and the order of
 * integer-like keys, follows any depth and names no line.
 */
import { HyperpilotError } from "./errors.ts";
import { USER_JSON } from "./limits.ts";

interface Place {
  /** The value's text, byte for byte. */
  readonly raw: string;
  /** Offset of its first character. */
  readonly start: number;
}

export interface JsonMember {
  readonly key: string;
  readonly keyStart: number;
  readonly value: JsonNode;
}

export type JsonNode =
  | (Place & { readonly type: "null" })
  | (Place & { readonly type: "boolean"; readonly value: boolean })
  | (Place & { readonly type: "number"; readonly value: number })
  | (Place & { readonly type: "string"; readonly value: string })
  | (Place & { readonly type: "array"; readonly items: readonly JsonNode[] })
  | (Place & { readonly type: "object"; readonly members: readonly JsonMember[] });

export interface ParseOptions {
  /** What the text is called in messages: a file name. */
  readonly name: string;
  readonly bytesMax?: number;
  /** Take NaN, Infinity, -Infinity and numbers that overflow: Python writes them. */
  readonly allowNonFinite?: boolean;
}

/** Parses a whole document. Errors: E_JSON with `name:line:column`; E_TOO_LARGE. */
export function parseJsonText(text: string, options: ParseOptions): JsonNode {
  const bytesMax = options.bytesMax ?? USER_JSON.bytesMax;
  if (text.length > bytesMax) {
    throw new HyperpilotError({
      code: "E_TOO_LARGE",
      message: `${options.name} has more than ${bytesMax} bytes.`,
      remedy: "Make it smaller.",
    });
  }
  return new Reader(text, options).document();
}

/** `name:line:column` of an offset; both count from 1, columns in characters. */
export function placeOf(text: string, offset: number, name: string): string {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return `${name}:${line}:${Array.from(before.slice(before.lastIndexOf("\n") + 1)).length + 1}`;
}

/** Plain JavaScript value; objects have no prototype, so that no key of a user's is special. */
export function toValue(node: JsonNode): unknown {
  switch (node.type) {
    case "null":
      return null;
    case "boolean":
    case "number":
    case "string":
      return node.value;
    case "array":
      return node.items.map(toValue);
    case "object": {
      const value = Object.create(null) as Record<string, unknown>;
      for (const { key, value: member } of node.members) value[key] = toValue(member);
      return value;
    }
  }
}

/** The member with this key, or undefined. */
export function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  return node.type === "object"
    ? node.members.find((member) => member.key === key)?.value
    : undefined;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const NON_FINITE = /-?Infinity|NaN/y;
const SPACE = /[ \t\n\r]*/y;
// Everything up to a quote, a backslash or a control character.

const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t", // prettier-ignore
};
const TYPOGRAPHIC = /[“”„‟«»‘’‚]/;

class Reader {
  private readonly text: string;
  private readonly options: ParseOptions;
  private offset = 0;
  private values = 0;

  constructor(text: string, options: ParseOptions) {
    this.text = text;
    this.options = options;
  }

  document(): JsonNode {
    if (this.text.startsWith("\ufeff")) {
      throw this.error(0, "a byte order mark", "save the file as UTF-8 without BOM");
    }
    const node = this.value(1);
    this.space();
    if (this.offset < this.text.length) throw this.unexpected("the end of the file");
    return node;
  }

  private value(depth: number): JsonNode {
    this.values += 1;
    if (this.values > USER_JSON.valuesMax)
      throw this.error(this.offset, `more than ${USER_JSON.valuesMax} values`);
    if (depth > USER_JSON.depthMax)
      throw this.error(this.offset, `nested deeper than ${USER_JSON.depthMax} levels`);
    this.space();
    const start = this.offset;
    switch (this.text[start]) {
      case "{":
        return this.object(start, depth);
      case "[":
        return this.array(start, depth);
      case '"': {
        const value = this.string();
        return { type: "string", value, raw: this.text.slice(start, this.offset), start };
      }
      default:
        return this.scalar(start);
    }
  }

  private scalar(start: number): JsonNode {
    for (const [word, node] of WORDS) {
      if (!this.text.startsWith(word, start)) continue;
      this.offset += word.length;
      return { ...node, raw: word, start };
    }
    const nonFinite = this.match(NON_FINITE);
    if (nonFinite !== "") {
      if (this.options.allowNonFinite !== true) {
        throw this.error(start, `${nonFinite} is not JSON`, "write a number or null");
      }
      return { type: "number", value: Number(nonFinite), raw: nonFinite, start };
    }
    const raw = this.match(NUMBER);
    if (raw === "") throw this.unexpected("a value");
    const value = Number(raw);
    if (!Number.isFinite(value) && this.options.allowNonFinite !== true) {
      throw this.error(start, `${raw} is too large a number`);
    }
    return { type: "number", value, raw, start };
  }

  private array(start: number, depth: number): JsonNode {
    const items: JsonNode[] = [];
    this.offset += 1;
    if (!this.take("]")) {
      do items.push(this.value(depth + 1));
      while (this.take(","));
      if (!this.take("]")) throw this.unexpected("',' or ']'");
    }
    return { type: "array", items, raw: this.text.slice(start, this.offset), start };
  }

  private object(start: number, depth: number): JsonNode {
    const members: JsonMember[] = [];
    const keys = new Set<string>();
    this.offset += 1;
    if (!this.take("}")) {
      do {
        this.space();
        const keyStart = this.offset;
        if (this.text[keyStart] !== '"') throw this.unexpected("a name in double quotes");
        const key = this.string();
        if (keys.has(key))
          throw this.error(keyStart, `"${key}" is there twice`, "keep one of them");
        keys.add(key);
        if (!this.take(":")) throw this.unexpected("':'");
        members.push({ key, keyStart, value: this.value(depth + 1) });
      } while (this.take(","));
      if (!this.take("}")) throw this.unexpected("',' or '}'");
    }
    return { type: "object", members, raw: this.text.slice(start, this.offset), start };
  }

  private string(): string {
    const start = this.offset;
    this.offset += 1;
    let value = "";
    for (;;) {
      value += this.match(PLAIN);
      const next = this.text[this.offset];
      if (next === '"') {
        this.offset += 1;
        return value;
      }
      if (next !== "\\") throw this.unclosed(start);
      value += this.escape();
    }
  }

  private escape(): string {
    const code = this.text[this.offset + 1] ?? "";
    const simple = ESCAPES[code];
    if (simple !== undefined) {
      this.offset += 2;
      return simple;
    }
    const hex = this.text.slice(this.offset + 2, this.offset + 6);
    if (code !== "u" || !/^[0-9a-fA-F]{4}$/.test(hex))
      throw this.error(this.offset, "an unknown escape in a string");
    this.offset += 6;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  /** A string without its end: often a typographic quote was meant to be the end. */
  private unclosed(start: number): HyperpilotError {
    const rest = this.text.slice(start, this.offset);
    const quote = rest.search(TYPOGRAPHIC);
    if (quote >= 0) return this.typographic(start + quote);
    const what =
      this.offset >= this.text.length
        ? "a string without its closing quote"
        : "a line break in a string";
    return this.error(start, what, 'close it with "');
  }

  private typographic(offset: number): HyperpilotError {
    return this.error(offset, `typographic quote ${this.text[offset] ?? ""}`, 'write "');
  }

  private unexpected(expected: string): HyperpilotError {
    this.space();
    const found = this.text[this.offset];
    if (found !== undefined && TYPOGRAPHIC.test(found)) return this.typographic(this.offset);
    const what = found === undefined ? "the end of the file" : `'${found}'`;
    return this.error(this.offset, `expected ${expected}, found ${what}`);
  }

  private error(offset: number, what: string, remedy?: string): HyperpilotError {
    const place = placeOf(this.text, offset, this.options.name);
    return new HyperpilotError({
      code: "E_JSON",
      message: remedy === undefined ? `${place} ${what}` : `${place} ${what}, ${remedy}`,
      remedy: "Correct the file at that place and try again.",
    });
  }

  private space(): void {
    this.match(SPACE);
  }

  private take(character: string): boolean {
    this.space();
    if (this.text[this.offset] !== character) return false;
    this.offset += 1;
    return true;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.offset += found.length;
    return found;
  }
}

const WORDS = [
  ["null", { type: "null" }],
  ["true", { type: "boolean", value: true }],
  ["false", { type: "boolean", value: false }],
] as const;
