import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pilotFailure, readPilotNotes } from "../../client/here/pilot-logs.ts";
import { specificationOf } from "../../client/submit/specification.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

const SPACE = '{"b": {"method": "fixed", "dimension": {"value": 1.0}}}';
const EXEC = '[evaluation]\nexec = "python3 train.py"\n';

describe("A task in a file", () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const write = (name: string, text: string): void => {
    writeFileSync(join(directory.path, name), text);
  };
  const specification = (task: string, options: object = {}) =>
    specificationOf({ task, ...options }, directory.path);
  const refusal = (task: string): HyperpilotError => {
    try {
      specification(task);
    } catch (error) {
      assert.ok(error instanceof HyperpilotError, String(error));
      return error;
    }
    throw new Error(`${task} was taken`);
  };

  it("may be TOML, with its search space in a file beside it, byte for byte", () => {
    mkdirSync(join(directory.path, "sub"));
    write("sub/space.json", SPACE);
    write("sub/task.toml", `# a comment\nsearchSpaceFile = "space.json"\nseed = 3\n${EXEC}`);
    const spec = specification("sub/task.toml", { maxPoints: "7" });
    assert.deepEqual(
      [spec.searchSpace, spec.seed, spec.limits.maxPoints, spec.evaluation.exec],
      [SPACE, 3, 7, "python3 train.py"],
    );
  });

  it("may have its search space in one line, as the command line may", () => {
    write("task.toml", `searchSpace = "lr=log(1e-5,1e-1)"\n${EXEC}`);
    write("task.json", '{"searchSpace": "lr=log(1e-5,1e-1)", "evaluation": {"exec": "x"}}');
    const expected = '{"lr": {"method": "loguniform", "dimension": {"low": 1e-5, "high": 1e-1}}}';
    assert.equal(specification("task.toml").searchSpace, expected);
    assert.equal(specification("task.json").searchSpace, expected);
    const spec = specificationOf({ exec: "x", space: "lr=log(1e-5,1e-1)" }, directory.path);
    assert.equal(spec.searchSpace, expected);
  });

  it("is refused with the place of the mistake", () => {
    write("a.toml", "seed = \n");
    assert.match(refusal("a.toml").message, /^a\.toml:1:8 /);
    write("b.toml", `sede = 3\nsearchSpace = "x=0..1"\n${EXEC}`);
    assert.match(refusal("b.toml").remedy ?? "", /Did you mean "seed"/);
    write("c.toml", `searchSpace = "x=0..1 y=lag(1,2)"\n${EXEC}`);
    assert.match(refusal("c.toml").message, /^c\.toml: searchSpace:1:10 unknown kind "lag"/);
    write("space.json", '{"x": {"method": "unifrom", "dimension": {}}}');
    write("d.toml", `searchSpaceFile = "space.json"\n${EXEC}`);
    assert.match(refusal("d.toml").message, /^space\.json:1:18 unknown method "unifrom"/);
    write("e.toml", `searchSpaceFile = "none.json"\n${EXEC}`);
    assert.match(refusal("e.toml").message, /none\.json cannot be read/);
    write("f.toml", `searchSpaceFile = "space.json"\nsearchSpace = "x=0..1"\n${EXEC}`);
    assert.match(refusal("f.toml").message, /there is a "searchSpace" as well/);
    write("g.toml", `${EXEC}[searchSpace.x]\nmethod = "uniform"\n`);
    assert.match(refusal("g.toml").message, /"searchSpace" is a table/);
  });
});

describe("The logs of pilots on this machine", () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const log = (submission: string, text: string): void => {
    const path = join(directory.path, "harvester", "submissions", submission);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "pilot.log"), text);
  };

  it("tell how an evaluation was run", () => {
    assert.deepEqual(readPilotNotes(directory.path).evaluation, null);
    const item = { type: "evaluation", taskId: 1, pointId: "0" };
    log("a", `${JSON.stringify({ event: "started", item })}\n{"event": "ended", "item": {"ty`);
    const used = { seconds: 1.5, runtime: "apptainer", memoryBytesPeak: 1e6 };
    log("b", `${JSON.stringify({ event: "ended", item, ...used })}\n`);
    const { evaluation, steering } = readPilotNotes(directory.path);
    assert.deepEqual(
      [evaluation?.runtime, evaluation?.seconds, steering],
      ["apptainer", 1.5, null],
    );
  });

  it("tell why a pilot did not start, in the parts of an error", () => {
    assert.equal(pilotFailure(directory.path), null);
    log("a", '{"event": "probed"}\n');
    log(
      "b",
      "✗ E_RUNTIME_MISSING no container runtime works on this node\n  Why   bwrap is not in PATH;\n        nor is another\n  Do    install bubblewrap\n  More  help\n",
    );
    assert.deepEqual(pilotFailure(directory.path), {
      code: "E_RUNTIME_MISSING",
      message:
        "Evaluations cannot be started on this machine: no container runtime works on this node",
      why: "bwrap is not in PATH;\nnor is another",
      remedy: "install bubblewrap",
    });
  });
});
