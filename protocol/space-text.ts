/**
 * A search space in one line, for command lines: `lr=log(1e-5,1e-1) batch=int(10,30) act=relu|tanh seed=3`. It is turned into
 * the search-space file's JSON, so that nothing behind it knows of two forms.
 *
 *   x=0..1  x=uniform(0,1)         real numbers, every one as likely
 *   lr=log(1e-5,1e-1)              real numbers on a logarithmic scale
 *   n=int(1,8)  n=int(1,64,log)    whole numbers, on a logarithmic scale as well
 *   n=int(16,128,16)  q=step(0,1,0.1)  multiples of the last number; a further `log` makes the scale logarithmic
 *   w=normal(0,1)  w=lognormal(0,1)    mean and standard deviation (of the logarithm); a third number is a step
 *   act=relu|tanh|"two words"      one of these; numbers, true, false and null are what they are in JSON
 *   seed=3                         always this
 *
 * The methods' own names (loguniform, uniformint, quniform, categorical, ...) are taken as well.
 */
import { didYouMean } from "./did-you-mean.ts";
import { HyperpilotError } from "./errors.ts";
import { placeOf } from "./json-text.ts";
import { TASK } from "./limits.ts";
import {
  EXAMPLE,
  KINDS,
  SHORT_KINDS,
  kindNamed,
  parameterJson,
  type Kind,
  type Value,
} from "./space-kinds.ts";

/** Whether a text is meant to be a search space in this form: it begins with `name=`. */
export function isSpaceText(text: string): boolean {
  return /^\s*[A-Za-z_][\w.-]*\s*=/.test(text);
}

/** The JSON text of the search space. Errors: E_SEARCH_SPACE with `name:line:column`, and what to write instead. */
export function spaceFromText(text: string, name: string): string {
  return new SpaceText(text, name).space();
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NAME = /[A-Za-z_][\w.-]*/y;
const BARE = /[\w.+\-/:@%~*^]+/y;
const CALL = /([A-Za-z_]\w*)[ \t]*\(/y;

class SpaceText {
  private readonly text: string;
  private readonly name: string;
  private at = 0;

  constructor(text: string, name: string) {
    this.text = text;
    this.name = name;
  }

  space(): string {
    if (this.text.length > TASK.searchSpaceBytesMax)
      throw this.wrong(0, `more than ${TASK.searchSpaceBytesMax} characters`, "use a file");
    const members = new Map<string, string>();
    while (this.hasMore()) {
      const name = this.hyperparameterName(members);
      members.set(name, this.parameter(name));
      if (this.at < this.text.length && !/\s/.test(this.text[this.at] ?? ""))
        throw this.unfit(name);
    }
    if (members.size === 0)
      throw this.wrong(0, "the search space is empty", `write for example ${EXAMPLE}`);
    const texts = [...members].map(([name, json]) => `${JSON.stringify(name)}: ${json}`);
    return `{${texts.join(", ")}}`;
  }

  /** `name=`, whose value follows. */
  private hyperparameterName(members: ReadonlyMap<string, string>): string {
    const start = this.at;
    const name = this.match(NAME)?.[0];
    if (name === undefined)
      throw this.wrong(start, "a name is expected here", `write for example ${EXAMPLE}`);
    if (members.has(name)) throw this.wrong(start, `"${name}" comes twice`, "leave one out");
    if (members.size >= TASK.hyperparametersMax) {
      const what = `more than ${TASK.hyperparametersMax} hyperparameters`;
      throw this.wrong(start, what, "use fewer");
    }
    this.skipSpace();
    if (this.text[this.at] !== "=") {
      const what = `"=" is expected after "${name}"`;
      throw this.wrong(this.at, what, `write ${name}=log(1e-5,1e-1)`);
    }
    this.at += 1;
    this.skipSpace();
    return name;
  }

  private parameter(name: string): string {
    const start = this.at;
    const wrong = this.wrong.bind(this);
    const build = (kind: Kind, values: readonly Value[]): string =>
      parameterJson(kind, values, { name, start, wrong });
    const call = this.match(CALL);
    if (call !== null) return build(this.kindOf(call[1] ?? "", name, start), this.values(name));
    const first = this.value(name);
    if (this.text[this.at] === "|") {
      const values = [first];
      while (this.text[this.at] === "|") {
        this.at += 1;
        values.push(this.value(name));
      }
      return build(KINDS.choice, values);
    }
    if (first.isQuoted || first.number !== null) return build(KINDS.fixed, [first]);
    const ends = first.text.split("..");
    if (ends.length === 2) {
      const [low = "", high = ""] = ends;
      const values = [bareValue(low, start), bareValue(high, start + low.length + 2)];
      return build(KINDS.uniform, values);
    }
    if (/^[+-]?\.?\d/.test(first.text)) {
      const what = `"${first.text}" of "${name}" is neither a number nor a range`;
      const remedy = `write ${name}=1e-5..1e-1, or quote it: ${name}="${first.text}"`;
      throw this.wrong(start, what, remedy);
    }
    return build(KINDS.fixed, [first]);
  }

  private kindOf(word: string, name: string, start: number): Kind {
    const kind = kindNamed(word);
    if (kind !== null) return kind;
    const near = didYouMean(word, Object.keys(KINDS));
    const remedy = near === null ? `known are ${SHORT_KINDS}` : `did you mean "${near}"?`;
    throw this.wrong(start, `unknown kind "${word}" of "${name}"`, remedy);
  }

  /** Values up to the closing parenthesis. */
  private values(name: string): Value[] {
    const values: Value[] = [];
    for (;;) {
      this.skipSpace();
      if (this.at >= this.text.length) throw this.unclosed(name);
      values.push(this.value(name));
      this.skipSpace();
      if (this.at >= this.text.length) throw this.unclosed(name);
      const next = this.text[this.at];
      if (next !== "," && next !== ")")
        throw this.wrong(this.at, '"," or ")" is expected here', `write for example ${EXAMPLE}`);
      this.at += 1;
      if (next === ")") return values;
    }
  }

  private unclosed(name: string): HyperpilotError {
    return this.wrong(this.at, `the ")" of "${name}" is missing`, 'add ")"');
  }

  private value(name: string): Value {
    const start = this.at;
    const quote = this.text[start];
    if (quote === '"' || quote === "'") {
      const end = this.text.indexOf(quote, start + 1);
      if (end < 0) throw this.wrong(start, `the closing ${quote} is missing`, `add ${quote}`);
      this.at = end + 1;
      const text = this.text.slice(start + 1, end);
      return { start, text, json: JSON.stringify(text), number: null, isQuoted: true };
    }
    const word = this.match(BARE)?.[0];
    if (word === undefined) throw this.unfit(name);
    return bareValue(word, start);
  }

  /** What no value begins with, or what stands behind one without a space. */
  private unfit(name: string): HyperpilotError {
    const start = this.at;
    const found = this.text[start];
    if (found === undefined || /\s/.test(found))
      return this.wrong(
        start,
        `the value of "${name}" is missing`,
        `write ${name}=3 or ${name}=a|b`,
      );
    const what = `${JSON.stringify(found)} is not understood here`;
    if (found === "[" || found === "{")
      return this.wrong(start, what, `write categories as ${name}=a|b|c`);
    if (found === "(") {
      const remedy = `say what the numbers are: ${name}=uniform(0,1), ${name}=log(1e-5,1e-1) or ${name}=int(1,8)`;
      return this.wrong(start, what, remedy);
    }
    if (found === ",") return this.wrong(start, what, "separate hyperparameters by spaces");
    return this.wrong(start, what, `quote it: ${name}="..."`);
  }

  private hasMore(): boolean {
    this.skipSpace();
    return this.at < this.text.length;
  }

  private skipSpace(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at += found[0].length;
    return found;
  }

  private wrong(offset: number, what: string, remedy: string): HyperpilotError {
    return new HyperpilotError({
      code: "E_SEARCH_SPACE",
      message: `${placeOf(this.text, offset, this.name)} ${what}`,
      remedy: asSentence(remedy),
    });
  }
}

function asSentence(text: string): string {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** A word without quotes: a number, true, false, null, or a text. */
function bareValue(text: string, start: number): Value {
  const number = NUMBER.test(text) ? Number(text) : null;
  if (number !== null && Number.isFinite(number)) {
    const json = JSON_NUMBER.test(text) ? text : String(number);
    return { start, text, json, number, isQuoted: false };
  }
  const isWord = text === "true" || text === "false" || text === "null";
  const json = isWord ? text : JSON.stringify(text);
  return { start, text, json, number: null, isQuoted: false };
}
