/** Texts for people: numbers, times, and user strings made harmless for a terminal. */

/**
 * Characters that could steer a terminal or change the order of what is read: controls (with ESC), bidirectional marks,
 * invisible separators and lone surrogates.
 */
const HARMFUL =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;
const NON_ASCII = /[^\u0000-\u007f]/gu;

/** One line of a user's text with harmful characters written out, such as `\x1b`. */
export function neutralise(text: string): string {
  return text.replace(HARMFUL, escaped);
}

/** As {@link neutralise}, for text of several lines: line feeds and tabs stay. */
export function neutraliseLines(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(HARMFUL, (character) =>
      character === "\n" || character === "\t" ? character : escaped(character),
    );
}

/** The text in ASCII: our own symbols by stand-ins of the same width, all else written out. Before a line is laid out. */
export function toAscii(text: string): string {
  return text.replace(NON_ASCII, (character) => STAND_INS[character] ?? escaped(character));
}

const STAND_INS: Readonly<Record<string, string>> = {
  "✓": "+",
  "✗": "x",
  "…": "~",
  "‖": "=",
  "•": "*",
  "·": "-",
  "▁": "_",
  "▂": "_",
  "▃": ".",
  "▄": "-",
  "▅": "=",
  "▆": "+",
  "▇": "*",
  "█": "#",
  "▓": "=",
  "▒": "-",
  "░": ".", // prettier-ignore
};

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Columns that a line takes on a terminal. */
export function displayWidth(line: string): number {
  let width = 0;
  for (const character of line) {
    if (/\p{M}/u.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

/** The line cut to a number of columns, with an ellipsis where something is missing. */
export function cutTo(line: string, columns: number): string {
  if (displayWidth(line) <= columns) return line;
  let kept = "";
  let width = 0;
  for (const character of line) {
    width += displayWidth(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/** C's `%.6g`. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  if (loss === 0) return "0";
  const [digits = "", exponentText = "0"] = loss.toExponential(5).split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 6) {
    const sign = exponent < 0 ? "-" : "+";
    return `${withoutZeros(digits)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return withoutZeros(loss.toFixed(5 - exponent));
}

function withoutZeros(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

/** "45 s", "4 min 10 s", "3 h 5 min", "2 d 4 h". */
export function formatDuration(seconds: number): string {
  if (seconds > 0 && seconds < 9.95) return `${Math.max(0.1, seconds).toFixed(1)} s`;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return twoUnits(whole, 60, ["min", "s"]);
  if (whole < 86_400) return twoUnits(Math.floor(whole / 60), 60, ["h", "min"]);
  return twoUnits(Math.floor(whole / 3_600), 24, ["d", "h"]);
}

function twoUnits(amount: number, base: number, units: readonly [string, string]): string {
  const rest = amount % base;
  const large = `${Math.floor(amount / base)} ${units[0]}`;
  return rest === 0 ? large : `${large} ${rest} ${units[1]}`;
}

/** "4 min ago"; one unit, as it is for orientation only. */
export function formatAgo(isoTime: string, nowMs: number): string {
  const seconds = Math.max(0, (nowMs - Date.parse(isoTime)) / 1_000);
  if (Number.isNaN(seconds)) return neutralise(isoTime);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

const BLOCKS = "▁▂▃▄▅▆▇█";

/** The values as bars of different heights, thinned to at most `columns`. */
export function sparkline(values: readonly number[], columns: number): string {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length === 0 || columns < 1) return "";
  const count = Math.min(columns, finite.length);
  const thinned = Array.from({ length: count }, (_, index) => {
    const position = count === 1 ? finite.length - 1 : (index * (finite.length - 1)) / (count - 1);
    return finite[Math.round(position)] ?? 0;
  });
  const low = Math.min(...thinned);
  const span = Math.max(...thinned) - low;
  return thinned
    .map((value) => BLOCKS[span === 0 ? 0 : Math.round(((value - low) / span) * 7)] ?? "")
    .join("");
}
