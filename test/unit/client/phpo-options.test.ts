import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import type { OptionSpec } from "../../../client/command.ts";
import { parsePhpo } from "../../../client/phpo-command.ts";
import {
  PHPO_GROUPS,
  PHPO_OPTIONS,
  groupOptions,
  optionName,
} from "../../../client/phpo-options.ts";
import { SUBMIT_OPTIONS, TASK_OPTIONS } from "../../../client/submit/options.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { BUILTIN_METHODS, PENALTY_MODES, TaskSpecification } from "../../../protocol/task.ts";

type Row = readonly [name: string, group: string, defaultText: string | null];

/** Options of panda-client's phpo: the founding document's and the later ones, with the group and the default they have there. */
const PANDA: readonly Row[] = [
  ["nParallelEvaluation", "CONFIG", "1"],
  ["maxPoints", "CONFIG", "10"],
  ["maxEvaluationJobs", "CONFIG", "2*maxPoints"],
  ["nPointsPerIteration", "CONFIG", "2"],
  ["minUnevaluatedPoints", "CONFIG", "0"],
  ["steeringContainer", "CONFIG", "none"],
  ["steeringExec", "CONFIG", null],
  ["searchSpaceFile", "CONFIG", "none"],
  ["evaluationContainer", "CONFIG", null],
  ["evaluationExec", "CONFIG", null],
  ["evaluationInput", "CONFIG", "input.json"],
  ["evaluationTrainingData", "CONFIG", "input_ds.json"],
  ["evaluationOutput", "CONFIG", "output.json"],
  ["evaluationMeta", "CONFIG", "none"],
  ["evaluationMetrics", "CONFIG", "none"],
  ["trainingDS", "INPUT", "none"],
  ["checkPointToSave", "CONFIG", "none"],
  ["checkPointToLoad", "CONFIG", "extracted"],
  ["checkPointInterval", "CONFIG", "5"],
  ["loadJson", "CONFIG", "none"],
  ["site", "SUBMIT", "every one"],
  ["outDS", "OUTPUT", null],
  // Later ones.
  ["dumpJson", "CONFIG", "none"],
  ["maxPointsPerEvaluationJob", "CONFIG", "no limit"],
  ["segmentSpecFile", "CONFIG", "none"],
  ["alrbArgs", "CONFIG", "none"],
  ["architecture", "CONFIG", "none"],
  ["verbose", "CONFIG", null],
  ["official", "OUTPUT", null],
  ["workingGroup", "SUBMIT", "none"],
  ["noEmail", "SUBMIT", null],
  ["noSubmit", "SUBMIT", null],
  ["voms", "SUBMIT", "none"],
  ["python3", "SUBMIT", null],
  ["intrSrv", "EXPERT", null],
];

const OURS: readonly Row[] = [
  ["steeringMethod", "HYPERPILOT", "none"],
  ["steeringTimeout", "HYPERPILOT", "1800"],
  ["whileSteering", "HYPERPILOT", "wait"],
  ["direction", "HYPERPILOT", "min"],
  ["penalty", "HYPERPILOT", "large"],
  ["penaltyLoss", "HYPERPILOT", "100000"],
  ["duplicates", "HYPERPILOT", "evaluate"],
  ["seed", "HYPERPILOT", "drawn"],
  ["evaluationTimeout", "HYPERPILOT", "no limit"],
  ["loopingTimeout", "HYPERPILOT", "7200"],
  ["noFailFast", "HYPERPILOT", null],
  ["checkPointKeep", "HYPERPILOT", null],
  ["cpus", "HYPERPILOT", "0.5"],
  ["memory", "HYPERPILOT", "1GB"],
  ["gpus", "HYPERPILOT", "none asked for"],
  ["resources", "HYPERPILOT", "one form"],
  ["internet", "HYPERPILOT", null],
  ["files", "HYPERPILOT", "the present directory"],
  ["try", "HYPERPILOT", null],
  ["wait", "HYPERPILOT", null],
];

const byName = ([a]: Row, [b]: Row): number => (a < b ? -1 : 1);

async function help(group: string): Promise<string> {
  const parsed = await parsePhpo(["--helpGroup", group]);
  assert.ok(parsed.type === "text");
  return parsed.text;
}

describe("phpo's options", () => {
  it("are those of panda-client's phpo and ours, each in its group and with its default, and no others", () => {
    const found: Row[] = PHPO_GROUPS.flatMap((group) =>
      groupOptions(group).map((option): Row => {
        const name = optionName(option);
        const expected = [...PANDA, ...OURS].find(([one]) => one === name)?.[2] ?? null;
        // Where the default depends on the steering, the founding document's stands first.
        const text = option.defaultText ?? null;
        return [
          name,
          group.name,
          expected !== null && text?.startsWith(expected) === true ? expected : text,
        ];
      }),
    );
    assert.deepEqual(found.toSorted(byName), [...PANDA, ...OURS].toSorted(byName));
    assert.ok(PHPO_OPTIONS.map(optionName).includes("helpGroup"));
  });

  it("print as they were read and approved with --helpGroup ALL (UPDATE_GOLDEN=1 writes it anew)", async () => {
    const text = await help("ALL");
    const file = new URL("phpo-help.golden.txt", import.meta.url);
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
    assert.equal(text, readFileSync(file, "utf8"));
    for (const line of (text.split("\nExamples:")[0] ?? "").split("\n"))
      assert.ok(line.length <= 100, line);
    for (const [name] of [...PANDA, ...OURS]) assert.ok(text.includes(`--${name}`), name);
  });

  it("print one group at a time, whatever the case of its name", async () => {
    for (const group of PHPO_GROUPS) {
      const text = await help(group.name.toLowerCase());
      const listed = [...PANDA, ...OURS].filter(([name]) =>
        new RegExp(`^ {2}(-\\w, )?--${name}\\b`, "m").test(text),
      );
      assert.deepEqual([...new Set(listed.map(([, of]) => of))], [group.name]);
      assert.equal(listed.length, groupOptions(group).length);
    }
    const equals = await parsePhpo(["--helpGroup=submit"]);
    assert.ok(equals.type === "text" && equals.text === (await help("SUBMIT")));
  });

  it("have the defaults in effect that the help names", () => {
    const spec = TaskSpecification.parse({
      specVersion: 1,
      name: "x",
      seed: 1,
      clientTaskUuid: "12345678",
      steering: { container: "x", exec: "y" },
      searchSpace: "null",
      evaluation: { container: "host:", exec: "x" },
      limits: {},
      needs: {},
    });
    const defaults: readonly (readonly [keyof typeof TASK_OPTIONS, unknown])[] = [
      ["maxPoints", spec.limits.maxPoints],
      ["nParallelEvaluation", spec.limits.nParallelEvaluation],
      ["evaluationInput", spec.evaluation.input],
      ["evaluationOutput", spec.evaluation.output],
      ["evaluationTrainingData", spec.evaluation.trainingData],
      ["checkPointInterval", spec.checkpoint.intervalMinutes],
      ["steeringTimeout", spec.steeringTimeoutSeconds],
      ["whileSteering", spec.whileSteering],
      ["penalty", spec.penalty],
      ["penaltyLoss", spec.penaltyLoss],
      ["duplicates", spec.duplicates],
      ["cpus", spec.needs.cpus],
    ];
    for (const [name, value] of defaults) {
      const option: OptionSpec = TASK_OPTIONS[name];
      assert.equal(option.defaultText, String(value), name);
    }
    assert.equal(spec.needs.memoryBytes, 1e9);
  });

  it("offer the choices that a specification takes", () => {
    const choices = (name: string): readonly string[] | undefined =>
      PHPO_OPTIONS.find((option) => optionName(option) === name)?.choices;
    assert.deepEqual(choices("steeringMethod"), [...BUILTIN_METHODS]);
    assert.deepEqual(choices("penalty"), [...PENALTY_MODES]);
    const { whileSteering, duplicates, direction } = TaskSpecification.shape;
    assert.deepEqual(choices("whileSteering"), whileSteering.def.innerType.options);
    assert.deepEqual(choices("duplicates"), duplicates.def.innerType.options);
    assert.deepEqual(choices("direction"), direction.def.innerType.options);
  });

  it("are those of hyperpilot submit too, from one table", () => {
    const own = ["searchSpaceFile", "evaluationContainer", "evaluationExec", "steeringMethod"];
    const shared = OURS.map(([name]) => name).filter((name) => !own.includes(name));
    for (const name of shared) {
      const inPhpo = PHPO_OPTIONS.find((option) => optionName(option) === name);
      const inSubmit = SUBMIT_OPTIONS.find((option) => optionName(option) === name);
      assert.ok(inSubmit !== undefined, name);
      assert.deepEqual(
        [inSubmit.flags, inSubmit.description],
        [inPhpo?.flags, inPhpo?.description],
      );
    }
  });
});

describe("phpo's command line", () => {
  it("takes a value after a blank or after =, also one that begins with a dash", async () => {
    for (const [name] of PANDA) {
      const option = PHPO_OPTIONS.find((one) => optionName(one) === name);
      if (option?.flags.includes("<") !== true) continue;
      for (const words of [[`--${name}`, "--7"], [`--${name}=--7`]]) {
        const parsed = await parsePhpo(words);
        assert.ok(parsed.type === "command" && parsed.options[name] === "--7", words.join(" "));
      }
    }
  });

  it("takes panda-client's short flags", async () => {
    const parsed = await parsePhpo(["-v", "-3", "--noEmail", "--official"]);
    assert.ok(parsed.type === "command");
    const flags = { verbose: true, python3: true, noEmail: true, official: true };
    assert.deepEqual(parsed.options, flags);
  });

  it("takes no abbreviation, and says what it may stand for", async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["--maxPo", /Did you mean --maxPoints or --maxPointsPerEvaluationJob\?/],
      ["--nPar=3", /Did you mean --nParallelEvaluation\?/],
      ["--maxpoints", /Did you mean --maxPoints\?/],
      [
        "--evaluation",
        /--evaluationContainer, --evaluationExec, --evaluationInput or --evaluationTrainingData\?/,
      ],
      ["--evalutionExec", /Did you mean --evaluationExec\?/],
    ];
    for (const [word, remedy] of cases) {
      const error = await parsePhpo([word, "3"]).then(
        () => null,
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof HyperpilotError, word);
      assert.match(error.message, /^Unknown option --\w+\.$/);
      assert.match(error.remedy ?? "", remedy);
    }
  });

  it("names the groups when there is none of that name", async () => {
    await assert.rejects(parsePhpo(["--helpGroup", "nix"]), {
      message: 'There is no group of options "nix".',
      remedy: /CONFIG, INPUT, OUTPUT, SUBMIT, EXPERT, HYPERPILOT, ALL/,
    });
  });
});
