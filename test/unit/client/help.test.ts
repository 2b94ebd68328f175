import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { hyperpilotProgram } from "../../../client/hyperpilot.ts";
import { helpText, optionsOf, parseWords, type Parsed } from "../../../client/program.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";

const program = hyperpilotProgram();
const parse = (line: string): Promise<Parsed> => parseWords(program, words(line));

/** Words of an example: quotes as in a shell, as far as examples use them. */
function words(line: string): string[] {
  return (line.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map((word) =>
    word.replace(/^(["'])(.*)\1$/, "$2"),
  );
}

async function refused(line: string): Promise<HyperpilotError> {
  const result = await parse(line).then(
    () => null,
    (error: unknown) => error,
  );
  assert.ok(result instanceof HyperpilotError, `"${line}" was taken`);
  assert.equal(result.code, "E_USAGE");
  return result;
}

describe("help", () => {
  it("is the same as the one that was read and approved (UPDATE_GOLDEN=1 writes it anew)", () => {
    const paths = [
      "",
      ...program.groups.map((group) => group.path),
      ...program.commands.map((command) => command.path),
    ];
    const texts = paths.map((path) => `##### hyperpilot ${path}\n${helpText(program, path)}`);
    const text = texts.join("\n");
    const file = new URL("help.golden.txt", import.meta.url);
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
    assert.equal(text, readFileSync(file, "utf8"));
  });

  it("of every command has a summary, described options and an example that parses as that command", async () => {
    for (const command of program.commands) {
      assert.ok(command.summary.length > 5, command.path);
      for (const option of optionsOf(command))
        assert.ok(option.description.length > 5, option.flags);
      for (const argument of command.arguments ?? [])
        assert.ok(argument.description.length > 5, argument.name);
      for (const example of command.examples) {
        assert.ok(example.startsWith("hyperpilot "), example);
        const parsed = await parse(example.slice("hyperpilot ".length));
        assert.ok(parsed.type === "command" && parsed.command.path === command.path, example);
      }
    }
  });

  it("is no wider than 100 columns, but for examples", () => {
    for (const command of program.commands) {
      const [text = ""] = helpText(program, command.path).split("\nExamples:");
      for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
    }
  });
});

describe("command lines", () => {
  it("take names in camelCase and in kebab-case", async () => {
    for (const line of [
      "submit --maxPoints 3 --nParallelEvaluation=2 --noFailFast",
      "submit --max-points 3 --n-parallel-evaluation=2 --no-fail-fast",
    ]) {
      const parsed = await parse(line);
      assert.ok(parsed.type === "command");
      assert.deepEqual(parsed.options, {
        maxPoints: "3",
        nParallelEvaluation: "2",
        noFailFast: true,
      });
    }
  });

  it("leave the values of options as they are", async () => {
    const parsed = await parse('submit --exec "python3 t.py --max-points 3" --queue a --queue b');
    assert.ok(parsed.type === "command");
    assert.deepEqual(parsed.options, { exec: "python3 t.py --max-points 3", queue: ["a", "b"] });
  });

  it("with a mistake are answered with what was meant", async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["task wach", /hyperpilot task watch/],
      ["watch last", /hyperpilot task watch/],
      ["tsk list", /hyperpilot task/],
      ["sumbit", /hyperpilot submit/],
      ["task lst", /hyperpilot task list/],
      ["site quues", /hyperpilot site queue/],
      ["submit --maxpoint 3", /--maxPoints/],
      ["submit --max-point 3", /--maxPoints/],
      ["submit --spcae x", /--space/],
      ["submit --parralel 3", /submit --help/],
      ["task points last --sotr loss", /--sort/],
      ["task list --jsno", /--json/],
      ["task points last --sort size", /task points --help/],
      ["task show", /task show --help/],
      ["task show a b", /task show --help/],
      ["task", /task --help/],
      ["--vresion", /--version/],
      ["submit --seed", /submit --help/],
      ["admin tokens issue x --role boss", /admin tokens issue --help/],
      ["help tsk", /hyperpilot --help|task/],
    ];
    for (const [line, remedy] of cases) {
      if (line.startsWith("help")) {
        assert.throws(() => helpText(program, line.slice(5)), HyperpilotError);
        continue;
      }
      const error = await refused(line);
      assert.match(error.remedy ?? "", remedy, line);
    }
  });

  it("refuse tokens, and do not repeat them", async () => {
    for (const line of [
      "task list --token=hp_secret123",
      "task list --token hp_secret123",
      "submit --password x",
    ]) {
      const error = await refused(line);
      assert.match(error.remedy ?? "", /HYPERPILOT_TOKEN_FILE/);
      assert.doesNotMatch(JSON.stringify(error.parts), /hp_secret123/);
    }
  });

  it("of unknown options do not repeat their values", async () => {
    assert.doesNotMatch(
      JSON.stringify((await refused("task list --pasword=hunter2")).parts),
      /hunter2/,
    );
  });

  it("without a word print the help; a group with a default verb runs it", async () => {
    const nothing = await parse("");
    assert.ok(nothing.type === "text" && nothing.text.includes("Commands:"));
    const tokens = await parse("admin tokens --json");
    assert.ok(tokens.type === "command" && tokens.command.path === "admin tokens list");
  });
});
