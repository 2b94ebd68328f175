/** Draws pictures over one another without flicker: one write per picture, nothing is cleared that is drawn again. */
import type { Output } from "../output.ts";

export interface Display {
  draw(lines: readonly string[]): void;
  /** Leaves the last picture and gives the cursor back. Calling it twice does nothing. */
  close(): void;
}

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const CLEAR_TO_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

export function createDisplay(output: Output): Display {
  let drawn = 0;
  let isOpen = true;
  // Whatever ends the process, the terminal is left as it was.
  const restore = (): void => {
    if (isOpen) output.raw(SHOW_CURSOR);
    isOpen = false;
  };
  process.once("exit", restore);
  return {
    draw(lines) {
      const up = drawn === 0 ? HIDE_CURSOR : `\u001b[${drawn}A\r`;
      output.raw(up + lines.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join("") + CLEAR_BELOW);
      drawn = lines.length;
    },
    close() {
      process.removeListener("exit", restore);
      restore();
    },
  };
}
