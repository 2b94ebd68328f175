import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkDumpFile, writeDump } from "../../../client/phpo-dump.ts";
import { foreignPhpoNote, lookForPhpo, phpoNotes } from "../../../client/phpo-path.ts";
import { phpoTask, type PhpoTask } from "../../../client/phpo-task.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary-directory.ts";

const BASE = {
  steeringContainer: "registry/steering",
  steeringExec: "hpogrid generate --infile=$PWD/%IN --outfile=$PWD/%OUT",
  evaluationContainer: "docker://x",
  evaluationExec: "bash ./exec.sh",
  outDS: "user.blah.1",
};
const SPACE = '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}';

describe("phpo", () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    await directory.remove();
  });

  const write = (name: string, content: string): string => {
    writeFileSync(join(directory.path, name), content);
    return name;
  };
  const task = (options: Record<string, unknown>): PhpoTask => phpoTask(options, directory.path);
  const refused = (options: Record<string, unknown>): HyperpilotError => {
    try {
      task(options);
    } catch (error) {
      assert.ok(error instanceof HyperpilotError, String(error));
      return error;
    }
    throw new Error("it was taken");
  };
  /** What a --loadJson file of this text is answered. */
  const file = (text: string): HyperpilotError =>
    refused({ ...BASE, loadJson: write("config.json", text) });

  describe("with its own options", () => {
    it("makes a task with phpo's defaults", () => {
      const { spec, warnings } = task({ ...BASE, site: "A, B" });
      assert.deepEqual(warnings, []);
      assert.equal(spec.name, "user.blah.1");
      assert.deepEqual(spec.steering, {
        container: BASE.steeringContainer,
        exec: BASE.steeringExec,
      });
      assert.equal(spec.searchSpace, "null");
      assert.deepEqual(spec.queues, ["A", "B"]);
      assert.equal(spec.limits.maxPoints, 10);
      const { input, output, trainingData } = spec.evaluation;
      assert.deepEqual(
        [input, output, trainingData],
        ["input.json", "output.json", "input_ds.json"],
      );
      assert.deepEqual(spec.datasets, { training: null, output: "user.blah.1" });
    });

    it("takes the name of the output dataset without panda-client's slash", () => {
      assert.equal(task({ ...BASE, outDS: "user.blah.1/" }).spec.name, "user.blah.1");
    });

    it("keeps checkpoints, files and data in the specification, without a word", () => {
      const { spec, warnings } = task({
        ...BASE,
        checkPointToSave: "ckpt, model.h5",
        checkPointToLoad: "ckpt.tgz",
        checkPointInterval: "2.5",
        checkPointKeep: true,
        evaluationMeta: "meta.json",
        evaluationMetrics: "metrics.tgz",
      });
      assert.deepEqual(spec.checkpoint, {
        save: ["ckpt", "model.h5"],
        load: "ckpt.tgz",
        intervalMinutes: 2.5,
        keep: true,
      });
      const { metadata, metrics } = spec.evaluation;
      assert.deepEqual([metadata, metrics], ["meta.json", "metrics.tgz"]);
      assert.deepEqual(warnings, []);
    });

    it("says once what changes nothing, and keeps it to be shown", () => {
      const { spec, warnings } = task({
        ...BASE,
        alrbArgs: "--nohome",
        voms: "atlas",
        official: true,
        noEmail: true,
      });
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] ?? "",
        /^--alrbArgs, --official, --voms change nothing about this search/,
      );
      assert.deepEqual(spec.clientOptions, {
        alrbArgs: "--nohome",
        official: "true",
        noEmail: "true",
        voms: "atlas",
      });
    });

    it("says that training files are not brought yet, and that a tarball needs something to be saved", () => {
      assert.match(
        task({ ...BASE, trainingDS: "user.me.data" }).warnings.join(),
        /user\.me\.data \(--trainingDS\) are not brought/,
      );
      assert.match(
        task({ ...BASE, checkPointToLoad: "x.tgz" }).warnings.join(),
        /without --checkPointToSave/,
      );
    });

    it("asks for mandatory ones by name", () => {
      for (const name of ["evaluationContainer", "evaluationExec", "outDS"])
        assert.match(
          refused({ ...BASE, [name]: undefined }).message,
          new RegExp(`--${name} is missing`),
        );
      assert.match(
        refused({ ...BASE, steeringExec: undefined, steeringContainer: undefined }).message,
        /how points are chosen/,
      );
      assert.match(
        refused({ ...BASE, steeringExec: undefined }).message,
        /--steeringContainer needs --steeringExec/,
      );
      assert.match(refused({ ...BASE, steeringMethod: "tpe" }).message, /exclude each other/);
    });

    it("takes the direction from the steering's command, in both forms, unless it is given", () => {
      const docker = (words: string): string =>
        `run --rm -v "$(pwd)":/HPOiDDS image /bin/bash -c "hpogrid generate ${words} -l nevergrad"`;
      const cases: readonly (readonly [Record<string, unknown>, string])[] = [
        [{ ...BASE, steeringExec: "gen -d max" }, "max"],
        [{ ...BASE, steeringExec: "gen --mode max" }, "max"],
        [{ ...BASE, steeringExec: "gen --mode=max" }, "max"],
        [{ ...BASE, steeringExec: "gen -d min" }, "min"],
        [{ ...BASE, steeringExec: "gen --dmax -d maximum" }, "min"],
        [{ ...BASE, steeringContainer: undefined, steeringExec: docker("-d max") }, "max"],
        [{ ...BASE, steeringContainer: undefined, steeringExec: docker("") }, "min"],
        [{ ...BASE, steeringExec: "gen -d max", direction: "min" }, "min"],
      ];
      for (const [options, direction] of cases)
        assert.equal(task(options).spec.direction, direction, JSON.stringify(options));
      assert.match(task(cases[0]?.[0] ?? {}).warnings.join(), /a higher loss is better/);
      assert.match(
        task(cases[7]?.[0] ?? {}).warnings.join(),
        /says max, the task says min.*--direction max/,
      );
    });
  });

  describe("and the hardware it asks for", () => {
    const needs = (options: Record<string, unknown>) => task({ ...BASE, ...options }).spec.needs;

    it("takes forms of slot, each filled in from the plain options", () => {
      const { cpus, memoryBytes, gpus, internet, alternatives } = needs({
        resources: "gpus=1:A100:40GB,cpus=4|cpus=16,memory=32GB",
        memory: "8GB",
        internet: true,
      });
      assert.deepEqual([cpus, memoryBytes, internet], [4, 8e9, true]);
      assert.deepEqual(gpus, { count: 1, model: "A100", memoryBytes: 40e9 });
      assert.deepEqual(alternatives, [{ cpus: 16, memoryBytes: 32e9, gpus: null }]);
    });

    it("refuses forms that are none", () => {
      const cases: readonly (readonly [string, RegExp])[] = [
        ["gpu=1", /knows no "gpu"/],
        ["cpus=4|", /"" is not understood/],
        ["cpus=4,cpus=5", /cpus twice/],
        ["cpus=x", /is not a number greater than 0/],
        ["memory=lots", /not an amount of memory/],
        [Array.from({ length: 18 }, () => "cpus=1").join("|"), /18 forms, at most 17/],
      ];
      for (const [resources, message] of cases)
        assert.match(refused({ ...BASE, resources }).message, message, resources);
    });

    it("reads panda-client's grammar for GPUs", () => {
      const cases: readonly (readonly [string, unknown])[] = [
        ["#x86_64-*-avx2&nvidia-A100", { count: 1, model: "A100", memoryBytes: null }],
        ["#x86_64-*-avx2&nvidia", { count: 1, model: null, memoryBytes: null }],
        ["&nvidia-*", { count: 1, model: null, memoryBytes: null }],
        [
          "#&nvidia:vram>=40960:driver>=575.0:model=.*A100.*",
          { count: 1, model: "A100", memoryBytes: 40_960 * 1_048_576 },
        ],
        [
          '{"model": ".*H100.*", "vram": 80000}',
          { count: 1, model: "H100", memoryBytes: 80_000 * 1_048_576 },
        ],
        [
          '{"gpu_spec": {"vendor": "nvidia", "model": "T4"}}',
          { count: 1, model: "T4", memoryBytes: null },
        ],
        ["#x86_64-*-avx2", null],
        ["x86_64-centos7-gcc11-opt", null],
      ];
      for (const [architecture, gpus] of cases)
        assert.deepEqual(needs({ architecture }).gpus, gpus, architecture);
      const { warnings, spec } = task({ ...BASE, architecture: cases[3]?.[0] });
      assert.match(warnings.join(), /driver>=575\.0 is not compared/);
      assert.equal(spec.clientOptions["architecture"], cases[3]?.[0]);
      assert.match(
        task({ ...BASE, architecture: "#arm64" }).warnings.join(),
        /^--architecture changes nothing/,
      );
    });

    it("refuses GPUs that would be others than those asked for", () => {
      for (const architecture of [
        "&amd",
        "&nvidia:model=A(40|100)",
        "&nvidia:vram>=much",
        "&nvidia:fast",
        '{"model":"P100","excl":true}',
      ])
        assert.equal(refused({ ...BASE, architecture }).code, "E_USAGE", architecture);
    });

    it("prefers --gpus", () => {
      const { gpus } = needs({ architecture: "&nvidia-A100", gpus: "2" });
      assert.deepEqual(gpus, { count: 2, model: null, memoryBytes: null });
    });
  });

  describe("with --loadJson", () => {
    it("takes numbers as texts, lists where commas may stand, and null for nothing", () => {
      write(
        "config.json",
        JSON.stringify({
          ...BASE,
          maxPoints: "12",
          nParallelEvaluation: 3,
          site: ["A", "B"],
          trainingDS: null,
          noFailFast: true,
          noEmail: false,
          vomsRoles: "atlas",
          jediTaskID: 4,
        }),
      );
      const { spec, warnings } = task({ loadJson: "config.json" });
      assert.deepEqual([spec.limits.maxPoints, spec.limits.nParallelEvaluation], [12, 3]);
      assert.deepEqual(spec.queues, ["A", "B"]);
      assert.deepEqual([spec.failFast, spec.clientOptions], [false, { voms: "atlas" }]);
      assert.deepEqual(warnings.length, 1);
    });

    it("lets the command line win, also over the file's kind of steering", () => {
      write("space.json", SPACE);
      write(
        "config.json",
        JSON.stringify({ ...BASE, maxPoints: 5, searchSpaceFile: "space.json" }),
      );
      const { spec } = task({ loadJson: "config.json", maxPoints: "7", steeringMethod: "tpe" });
      assert.deepEqual([spec.limits.maxPoints, spec.steering], [7, { method: "tpe" }]);
      write(
        "config.json",
        JSON.stringify({
          ...BASE,
          steeringExec: undefined,
          steeringContainer: undefined,
          steeringMethod: "tpe",
        }),
      );
      const other = task({ loadJson: "config.json", steeringContainer: "x", steeringExec: "y" });
      assert.deepEqual(other.spec.steering, { container: "x", exec: "y" });
    });

    it("passes over unknown options with their place and what may have been meant", () => {
      write("config.json", '{"maxPoint": 3,\n  "zzz": 1}');
      const { warnings } = task({ ...BASE, loadJson: "config.json" });
      assert.deepEqual(warnings, [
        'config.json:1:2 unknown option "maxPoint" is passed over. Did you mean "maxPoints"?',
        'config.json:2:3 unknown option "zzz" is passed over.',
      ]);
    });

    it("refuses wrong types and values with place, option and what to write", () => {
      const cases: readonly (readonly [string, string, RegExp])[] = [
        [
          '{"maxPoints": [3]}',
          'config.json:1:15 option "maxPoints" must be a number, and it is a list.',
          /"maxPoints": 20/,
        ],
        [
          '{"maxPoints": true}',
          'config.json:1:15 option "maxPoints" must be a number, and it is true.',
          /"maxPoints"/,
        ],
        [
          '{\n  "maxPoints": "many"}',
          'config.json:2:16 option "maxPoints" "many" is not a whole number of at least 1.',
          /Write "maxPoints": 4/,
        ],
        [
          '{"nParallelEvaluation": 2.5}',
          'config.json:1:25 option "nParallelEvaluation" "2.5" is not a whole number of at least 1.',
          /"nParallelEvaluation": 4/,
        ],
        [
          '{"maxPoints": 0}',
          'config.json:1:15 option "maxPoints" "0" is not a whole number of at least 1.',
          /"maxPoints": 4/,
        ],
        [
          '{"noEmail": "maybe"}',
          'config.json:1:13 option "noEmail" must be true or false, and it is "maybe".',
          /"noEmail": true/,
        ],
        [
          '{"site": {"a": 1}}',
          'config.json:1:10 option "site" must be a text, and it is an object.',
          /"site": "..."/,
        ],
        [
          '{"penalty": "huge"}',
          'config.json:1:13 option "penalty" must be one of large, worst, omit, and it is "huge".',
          /"penalty": "large"/,
        ],
        [
          '{"gpus": "A100"}',
          'config.json:1:10 option "gpus" "A100" is not understood.',
          /1:A100:40GB/,
        ],
        ["[]", "config.json:1:1 holds no options.", /evaluationExec/],
      ];
      for (const [text, message, remedy] of cases) {
        const error = file(text);
        assert.equal(error.message, message);
        assert.match(error.remedy ?? "", remedy);
        assert.equal(error.exitCode, 2);
      }
    });

    it("says nothing of the file for a value that the command line replaced", () => {
      write("config.json", '{"maxPoints": 5}');
      const error = refused({ ...BASE, loadJson: "config.json", maxPoints: "x" });
      assert.match(error.message, /^--maxPoints "x"/);
    });
  });

  describe("with --segmentSpecFile", () => {
    const segments = (text: string, more: Record<string, unknown> = {}) =>
      task({ ...BASE, segmentSpecFile: write("seg.json", text), ...more }).spec.segments;

    it("takes segments with files or datasets", () => {
      assert.deepEqual(
        segments(
          '[{"name": "a", "files": ["f1", "f2"]}, {"name": "b", "datasets": ["d"], "id": 1}]',
        ),
        [
          { name: "a", files: ["f1", "f2"], datasets: [] },
          { name: "b", files: [], datasets: ["d"] },
        ],
      );
    });

    it("refuses what is none, with its place", () => {
      const cases: readonly (readonly [string, RegExp])[] = [
        ["{}", /^seg\.json:1:1 is no list of segments/],
        ["[]", /is no list of segments/],
        ['[{"name": "a"},\n 3]', /^seg\.json:2:2 is no segment/],
        ['[{"nme": "a"}]', /^seg\.json:1:3 segment has an unknown member "nme"/],
        ['[{"files": ["a"]}]', /segment has no "name"/],
        ['[{"name": "a", "files": "f"}]', /^seg\.json:1:25 must be a list of texts/],
        ['[{"name": "a"}, {"name": "a"}]', /names segment "a" again/],
        ['[{"name": "a", "files": ["f"], "datasets": ["d"]}]', /both files and datasets/],
      ];
      for (const [text, message] of cases) {
        const error = refused({ ...BASE, segmentSpecFile: write("seg.json", text) });
        assert.match(error.message, message, text);
        assert.ok((error.remedy ?? "").length > 5);
      }
      const many = JSON.stringify(
        Array.from({ length: 1_001 }, (_, name) => ({ name: String(name) })),
      );
      assert.match(
        refused({ ...BASE, segmentSpecFile: write("seg.json", many) }).message,
        /has 1001 segments, at most 1000/,
      );
    });

    it("takes one search space for all, or one for each", () => {
      const two = '[{"name": "a"}, {"name": "b"}]';
      const builtin = {
        steeringExec: undefined,
        steeringContainer: undefined,
        steeringMethod: "tpe",
        searchSpaceFile: "space.json",
      };
      const spaceOf = (id: number, space = SPACE): string =>
        `{"model_id": ${id}, "search_space": ${space}}`;
      for (const space of [SPACE, `[${spaceOf(0)}, ${spaceOf(1)}]`]) {
        write("space.json", space);
        assert.equal(segments(two, builtin).length, 2);
      }
      write("space.json", `[${spaceOf(0)}]`);
      assert.throws(() => segments(two, builtin), {
        code: "E_SEARCH_SPACE",
        message: /segment 1|model_id 1/,
      });
      write("space.json", `[${spaceOf(0)}, ${spaceOf(1, '{"x": {"method": "uniform"}}')}]`);
      assert.throws(() => segments(two, builtin), { code: "E_SEARCH_SPACE" });
    });
  });

  describe("with --dumpJson", () => {
    it("writes every option under panda-client's name, and what became of it; the file can be loaded again", () => {
      const options = {
        ...BASE,
        maxPoints: "7",
        noEmail: true,
        voms: "atlas",
        checkPointInterval: "9",
      };
      writeDump("dump.json", directory.path, options, {
        returnCode: null,
        returnOut: "succeeded. new jediTaskID=10000001",
        jediTaskID: 10_000_001,
      });
      const dumped = JSON.parse(readFileSync(join(directory.path, "dump.json"), "utf8")) as Record<
        string,
        unknown
      >;
      const expected = {
        maxPoints: 7,
        maxEvaluationJobs: 14,
        nParallelEvaluation: 1,
        nPointsPerIteration: 2,
        minUnevaluatedPoints: null,
        checkPointInterval: 9,
        evaluationOutput: "output.json",
        vomsRoles: "atlas",
        noEmail: true,
        verbose: false,
        python3: false,
        site: null,
        returnCode: null,
        returnOut: "succeeded. new jediTaskID=10000001",
        jediTaskID: 10_000_001,
      };
      for (const [name, value] of Object.entries(expected))
        assert.deepEqual(dumped[name], value, name);
      const { spec, warnings } = task({ loadJson: "dump.json" });
      assert.deepEqual([spec.name, spec.limits.maxPoints, warnings.length], ["user.blah.1", 7, 1]);
    });

    it("refuses a file that could not be written, before anything is sent", () => {
      assert.throws(() => checkDumpFile("nowhere/dump.json", directory.path), { code: "E_FILE" });
      checkDumpFile("dump.json", directory.path);
    });
  });

  describe("beside another phpo on PATH", () => {
    const bin = (name: string, content: string | null): string => {
      const path = join(directory.path, name);
      mkdirSync(path);
      if (content === null) symlinkSync(own(), join(path, "phpo"));
      else writeFileSync(join(path, "phpo"), content, { mode: 0o755 });
      return path;
    };
    const own = (): string => join(directory.path, "dist", "phpo.js");
    const look = (...directories: string[]) =>
      lookForPhpo({ PATH: directories.join(":") }, join(directory.path, "dist", "main.js"));

    beforeEach(() => {
      mkdirSync(join(directory.path, "dist"));
      for (const name of ["main.js", "phpo.js"])
        writeFileSync(join(directory.path, "dist", name), "", { mode: 0o755 });
    });

    const PANDA =
      '#!/bin/sh\n. $PANDA_SYS/share/functions.sh\nexec $PANDA_PYTHON_EXEC -m pandaclient.PhpoScript "$@"\n';

    it("says nothing when it is alone, or not there at all", () => {
      const ours = bin("ours", null);
      for (const one of [look(ours), look(ours, ours), look("/nowhere"), look()])
        assert.deepEqual([phpoNotes(one), foreignPhpoNote(one)], [[], null]);
    });

    it("names the one in front of it, whose it is, and how to choose", () => {
      const [ours, panda] = [bin("ours", null), bin("panda", PANDA)];
      const note = foreignPhpoNote(look(panda, ours)) ?? "";
      assert.ok(note.includes(`runs ${panda}/phpo, panda-client's, not Hyperpilot's`), note);
      assert.ok(note.includes(`type: hyperpilot phpo, or put ${ours} first in PATH`), note);
      assert.deepEqual(phpoNotes(look(panda, ours)), [note]);
      assert.match(foreignPhpoNote(look(panda)) ?? "", /for this one, type: hyperpilot phpo$/);
    });

    it("names the one behind it", () => {
      const [ours, other] = [bin("ours", null), bin("other", "#!/bin/sh\n")];
      const notes = phpoNotes(look(ours, other));
      assert.deepEqual(notes.length, 1);
      assert.match(
        notes[0] ?? "",
        /another phpo, another program's, is behind this one in PATH: .*\/other\/phpo/,
      );
      assert.equal(foreignPhpoNote(look(ours, other)), null);
    });

    it("knows a wrapper of its own, and passes over what no shell would run", () => {
      const wrapper = bin("wrapper", `#!/bin/sh\nexec node ${own()} "$@"\n`);
      const plain = bin("plain", "no program");
      chmodSync(join(plain, "phpo"), 0o644);
      assert.deepEqual(phpoNotes(look(wrapper, plain)), []);
    });
  });
});
