import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { findSources, hashOfSources, writeBuildContext } from "../../client/steering/sources.ts";
import { EXIT } from "../../protocol/errors.ts";
import { runCli, type CliResult } from "../support/run-cli.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

describe("hyperpilot admin steering build", function () {
  this.timeout(20_000);
  let directory: TemporaryDirectory;
  let images: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    images = join(directory.path, "images");
    mkdirSync(join(directory.path, "bin"));
  });
  afterEach(async () => {
    await directory.remove();
  });

  /** A program of this name in PATH. */
  function program(name: string, script: string): void {
    const file = join(directory.path, "bin", name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }

  function build(...words: string[]): Promise<CliResult> {
    return runCli(["admin", "steering", "build", ...words, "--images", images, "--noRegister"], {
      cwd: directory.path,
      environment: { PATH: `${join(directory.path, "bin")}:/nowhere` },
    });
  }

  it("names what can be built when it is asked for something else", async () => {
    program("apptainer", "exit 1");
    const result = await build("hyperopt");
    assert.equal(result.exitCode, EXIT.usage);
    assert.match(result.stderr, /no steering image "hyperopt"/);
    assert.match(result.stderr, /nevergrad, skopt, optuna, all/);
  });

  it("says which builders it knows where there is none", async () => {
    const none = await build();
    assert.equal(none.exitCode, EXIT.usage);
    assert.match(
      none.stderr,
      /E_CONFIG No builder of images was found[^]*apptainer, podman, docker/,
    );
    program("podman", "exit 1");
    const other = await build("--builder", "docker");
    assert.match(other.stderr, /E_CONFIG docker is not in PATH/);
  });

  it("refuses a base that is not there, or that the builder cannot use", async () => {
    program("apptainer", "exit 1");
    program("podman", "exit 1");
    const missing = await build("--builder", "apptainer", "--base", "./python.sif");
    assert.match(missing.stderr, /E_FILE The base image .*python\.sif does not exist/);
    writeFileSync(join(directory.path, "python.sif"), "");
    const wrong = await build("--builder", "podman", "--base", "./python.sif");
    assert.match(wrong.stderr, /E_CONFIG podman builds upon images of a registry/);
    assert.deepEqual(readdirSync(images), []);
  });

  it("shows the last words of a builder that fails, and leaves nothing", async () => {
    program("apptainer", "echo 'FATAL: out of luck' >&2; exit 255");
    program("unshare", 'shift 2; exec "$@"');
    const result = await build("optuna");
    assert.equal(result.exitCode, EXIT.failed);
    assert.match(
      result.stderr,
      /E_RUNTIME (apptainer|unshare) ended with exit code 255[^]*FATAL: out of luck/,
    );
    assert.match(result.stderr, /--base debian/);
    assert.deepEqual(readdirSync(images), []);
  });

  it("gives the build the settings of this place, in files that only their owner can read", () => {
    const certificates = join(directory.path, "own.pem");
    writeFileSync(certificates, "certificate\n");
    const context = join(directory.path, "context");
    writeBuildContext(findSources(), context, {
      HTTPS_PROXY: "http://user:it's@proxy.example:3128",
      PIP_CERT: certificates,
      HYPERPILOT_TOKEN: "canary",
    });
    const file = join(context, "build-settings", "environment.sh");
    assert.equal(
      readFileSync(file, "utf8"),
      `export HTTPS_PROXY='http://user:it'\\''s@proxy.example:3128'\nexport PIP_CERT=/opt/hyperpilot-build/build-settings/certificates.pem\n`,
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(context).mode & 0o777, 0o700);
    assert.equal(
      readFileSync(join(context, "build-settings", "certificates.pem"), "utf8"),
      "certificate\n",
    );
    assert.ok(readdirSync(join(context, "hyperpilot_steering")).includes("command.py"));
    assert.throws(
      () => writeBuildContext(findSources(), `${context}-2`, { PIP_CERT: "/missing.pem" }),
      {
        code: "E_FILE",
      },
    );
  });

  it("builds again when a file that goes into the image is another, and for no other file", () => {
    const copy = join(directory.path, "steering");
    cpSync(findSources(), copy, { recursive: true });
    const before = hashOfSources(copy);
    writeFileSync(join(copy, "README.md"), "other");
    mkdirSync(join(copy, "hyperpilot_steering", "__pycache__"), { recursive: true });
    assert.equal(hashOfSources(copy), before);
    writeFileSync(join(copy, "requirements", "constraints.txt"), "numpy==1.0\n");
    assert.notEqual(hashOfSources(copy), before);
  });
});
