import assert from "node:assert/strict";
import { displayWidth } from "../../../client/format.ts";
import { createOutput } from "../../../client/output.ts";
import type { Environment } from "../../../client/style.ts";
import { writeTable, type Column } from "../../../client/table.ts";

interface Row {
  readonly id: number;
  readonly name: string;
  readonly loss: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "ID", align: "right", text: (row) => String(row.id) },
  { title: "NAME", shrinks: true, text: (row) => row.name },
  {
    title: "LOSS",
    align: "right",
    tone: () => "good",
    text: (row) => row.loss.toFixed(2),
    plain: (row) => String(row.loss),
  },
];
const ROWS: readonly Row[] = [
  { id: 1, name: "short", loss: 0.123456 },
  { id: 200, name: `✓ ${"long ".repeat(30)}\u001b[31m\ttab`, loss: 7 },
];

function written(cell: {
  isTTY: boolean;
  columns: number;
  environment: Environment;
  rows?: readonly Row[];
}) {
  const out: string[] = [];
  const talk: string[] = [];
  const output = createOutput({
    stdout: { isTTY: cell.isTTY, columns: cell.columns, write: (text) => out.push(text) },
    stderr: { isTTY: cell.isTTY, write: (text) => talk.push(text) },
    environment: cell.environment,
    json: false,
    noColour: false,
  });
  writeTable(output, COLUMNS, cell.rows ?? ROWS, "Nothing.");
  return { out: out.join(""), talk: talk.join("") };
}

const ESC = "\u001b";

describe("tables", () => {
  for (const isTTY of [true, false])
    for (const NO_COLOR of ["", "1"])
      for (const TERM of ["xterm", "dumb"])
        for (const columns of [40, 80, 200])
          for (const LANG of ["C", "en_US.UTF-8"]) {
            const where = `${isTTY ? "terminal" : "pipe"}, NO_COLOR=${NO_COLOR}, TERM=${TERM}, ${columns} columns, ${LANG}`;
            it(`fit: ${where}`, () => {
              const { out } = written({ isTTY, columns, environment: { NO_COLOR, TERM, LANG } });
              const mayPaint = isTTY && NO_COLOR === "" && TERM !== "dumb";
              assert.equal(out.includes(ESC), mayPaint);
              const lines = out.trimEnd().split("\n");
              assert.equal(lines.length, isTTY ? 3 : 2);
              if (!isTTY) return;

              for (const line of lines)
                assert.ok(displayWidth(line.replace(/\u001b\[\d+m/g, "")) <= columns, line);

              if (LANG === "C") assert.doesNotMatch(out, /[^\u0000-\u007f]/);
            });
          }

  it("are aligned on a terminal", () => {
    const { out } = written({
      isTTY: true,
      columns: 80,
      environment: { NO_COLOR: "1" },
      rows: [ROWS[0]!, { id: 20, name: "b", loss: 10 }],
    });
    assert.equal(out, "ID  NAME    LOSS\n 1  short   0.12\n20  b      10.00\n");
  });

  it("are tab-separated, complete and without a header in a pipe", () => {
    const { out } = written({ isTTY: false, columns: 20, environment: {} });
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
    assert.deepEqual(rows[0], ["1", "short", "0.123456"]);
    assert.deepEqual(rows[1], ["200", `✓ ${"long ".repeat(30)}\\x1b[31m\\ttab`, "7"]);
  });

  it("FORCE_COLOR paints a pipe, NO_COLOR wins over it", () => {
    const painted = written({
      isTTY: true,
      columns: 80,
      environment: { FORCE_COLOR: "1", TERM: "dumb" },
    });
    assert.ok(painted.out.includes(ESC));
    const plain = written({
      isTTY: true,
      columns: 80,
      environment: { FORCE_COLOR: "1", NO_COLOR: "1" },
    });
    assert.ok(!plain.out.includes(ESC));
  });

  it("an empty list writes nothing to stdout and says so to stderr", () => {
    assert.deepEqual(written({ isTTY: false, columns: 80, environment: {}, rows: [] }), {
      out: "",
      talk: "Nothing.\n",
    });
  });
});
