import assert from "node:assert/strict";
import { parseDockerArguments, WORK_DIRECTORY } from "../../../protocol/docker-arguments.ts";
import { steeringCommand } from "../../../protocol/steering-command.ts";

/** The founding document's own example. */
const FOUNDING =
  'run --rm -v "$(pwd)":/HPOiDDS gitlab-registry.cern.ch/zhangruihpc/steeringcontainer:0.0.1 /bin/bash -c "hpogrid generate --n_point=%NUM_POINTS --max_point=%MAX_POINTS --infile=/HPOiDDS/%IN  --outfile=/HPOiDDS/%OUT -l nevergrad"';

function refusal(text: string, message: RegExp, remedy = /./): void {
  assert.throws(() => parseDockerArguments(text), {
    code: "E_TASK_SPECIFICATION",
    message,
    remedy,
  });
}

describe("docker arguments", () => {
  it("of the founding document are read as image, mount and command", () => {
    const run = parseDockerArguments(FOUNDING);
    assert.equal(run.image, "gitlab-registry.cern.ch/zhangruihpc/steeringcontainer:0.0.1");
    assert.deepEqual(run.mounts, ["/HPOiDDS"]);
    assert.deepEqual(run.argv.slice(0, 2), ["/bin/bash", "-c"]);
    assert.match(run.argv[2] ?? "", /^hpogrid generate --n_point=%NUM_POINTS .* -l nevergrad$/);
  });

  it("become a command with the placeholders filled in, for the shell inside", () => {
    const steering = { container: null, exec: FOUNDING };
    const command = steeringCommand(steering, { numPoints: 3, maxPoints: 12 });
    assert.equal(
      command.image,
      "docker://gitlab-registry.cern.ch/zhangruihpc/steeringcontainer:0.0.1",
    );
    assert.equal(
      command.exec,
      "'/bin/bash' '-c' 'hpogrid generate --n_point=3 --max_point=12 --infile=/HPOiDDS/idds_input.json  --outfile=/HPOiDDS/output.json -l nevergrad'",
    );
  });

  it("may name the working directory in the command: it is found where it is mounted", () => {
    const exec = "run -v $PWD:/w image prog --in=$(pwd)/%IN";
    assert.deepEqual(parseDockerArguments(exec).argv, ["prog", `--in=${WORK_DIRECTORY}/%IN`]);
    const command = steeringCommand({ container: null, exec }, { numPoints: 1, maxPoints: 1 });
    assert.equal(command.exec, "'prog' '--in=/w/idds_input.json'");
  });

  it("follow a shell's quoting and nothing else of it", () => {
    assert.deepEqual(parseDockerArguments(String.raw`run img a\ b 'c "$X"' "d\"e" ""`).argv, [
      "a b",
      'c "$X"',
      'd"e',
      "",
    ]);
    refusal("run img sh -c $(whoami)", /'\$\(whoami\)' would be expanded/, /single quotes/);
    refusal('run img "$HOME"', /'\$HOME"' would be expanded/);
    refusal("run img `id`", /would be expanded/);
    refusal("run img a; rm -rf /", /';' would be acted upon by a shell/);
    refusal("run img a > b", /'>' would be acted upon/);
    refusal("run img 'a", /single quote is not closed/);
    refusal('run img "a', /double quote is not closed/);
  });

  it("keep single quotes of words whole when they reach the shell inside", () => {
    const { exec } = steeringCommand(
      { container: null, exec: `run img echo "it's"` },
      { numPoints: 1, maxPoints: 1 },
    );
    assert.equal(exec, `'echo' 'it'\\''s'`);
  });

  it("take variables with values, an entrypoint, and drop what concerns docker alone", () => {
    const run = parseDockerArguments(
      "run -it -e A=1 --env=B=2 --entrypoint /bin/sh --name x --network host --pull=always -u 0 -w /w img -c true",
    );
    assert.deepEqual(run.environment, { A: "1", B: "2" });
    assert.equal(run.entrypoint, "/bin/sh");
    assert.deepEqual(run.argv, ["-c", "true"]);
  });

  it("that would reach into the host are refused with what is accepted", () => {
    refusal("run -v /etc:/etc img", /-v \/etc:\/etc is not the working directory/);
    refusal('run -v "$(pwd)"/../..:/x img', /is not the working directory/);
    refusal("run --privileged img", /option --privileged is not accepted/, /Accepted are/);
    refusal("run --entrypont x img", /not accepted/, /Did you mean --entrypoint/);
    refusal("run -e HOME img", /would copy a variable/);
    refusal("build .", /begins with 'build'/, /--steeringContainer/);
    refusal("run --rm", /names no image/);
  });
});
