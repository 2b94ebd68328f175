/** Text in lines that are no wider than the terminal. */
import { displayWidth } from "./format.ts";

/** Lines of at most `columns`, broken between words; a longer word has a line of its own. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ +/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && displayWidth(longer) > columns) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** Talk of several lines, each no wider than the terminal; what stands behind a label such as "  Do    " stays below itself. */
export function wrappedTalk(text: string, columns: number): string {
  return text
    .split("\n")
    .flatMap((line) => {
      if (displayWidth(line) <= columns) return [line];
      const label = /^ *(?:\S+ {2,})?/.exec(line)?.[0] ?? "";
      return labelled(label, line.slice(label.length), columns);
    })
    .join("\n");
}

/** The text behind a label, its further lines below its first. */
export function labelled(label: string, text: string, columns: number): string[] {
  const width = displayWidth(label);
  return wrapped(text, Math.max(20, columns - width)).map((line, index) =>
    index === 0 ? label + line : " ".repeat(width) + line,
  );
}
