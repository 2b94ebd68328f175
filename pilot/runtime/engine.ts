/**
 * Payloads in a container engine with docker's command line: podman, docker. The engine's monitor or daemon holds the
 * payload, so that whatever ends it goes through the engine; see `Container`.
 */
import { totalmem } from "node:os";
import { join } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { EngineDialect, EngineOptions } from "./engine-dialect.ts";
import {
  createEngineContainer,
  containerNames,
  removeOrphanedContainers,
} from "./engine-container.ts";
import { createEngineProgram, type EngineProgram } from "./engine-program.ts";
import { createEngineStore } from "./engine-store.ts";
import { findProgram } from "./find-program.ts";
import { makeHostRoot, readHostSystem } from "./host-system.ts";
import {
  type CommandEnd,
  type ImageStore,
  type PayloadCommand,
  type PayloadPaths,
  type PayloadRequest,
  type Runtime,
  type RuntimeVerdict,
  type SelfTestResult,
  WORK_DIRECTORY_INSIDE,
} from "./runtime.ts";
import { runSelfTest } from "./self-test.ts";

/** Prefix of the payload's variables on their way through the engine's own environment. */
const VARIABLE_PREFIX = "HYPERPILOT_ENV_";
const SELF_TEST_IMAGE = "hyperpilot-self-test:1";
const IMAGE_ID = /^(?:sha256:)?[0-9a-f]{64}$/;

/** The runtime of an engine. Whether it works on this node is for `selfTest` to say. */
export function createEngine(dialect: EngineDialect, options: EngineOptions): Runtime {
  return new EngineRuntime(dialect, options);
}

class EngineRuntime implements Runtime {
  readonly name: string;
  readonly store: ImageStore;
  readonly #dialect: EngineDialect;
  readonly #scratchDirectory: string;
  /** null: the program is not there. */
  readonly #path: string | null;
  readonly #programs: readonly EngineProgram[];
  readonly #nextName = containerNames();
  #program: EngineProgram;

  constructor(dialect: EngineDialect, options: EngineOptions) {
    this.name = dialect.name;
    this.#dialect = dialect;
    this.#scratchDirectory = options.scratchDirectory;
    this.#path = options.program ?? findProgram(dialect.name);
    const path = this.#path ?? dialect.name;
    const [first, ...others] = dialect.globalOptions;
    const programOf = (globalOptions: readonly string[]): EngineProgram =>
      createEngineProgram({ path, globalOptions, dialect });
    this.#program = programOf(first);
    this.#programs = [this.#program, ...others.map(programOf)];
    this.store = createEngineStore(this.name, () => this.#program);
  }

  supports(image: string): boolean {
    return image.startsWith("docker://");
  }

  command(request: PayloadRequest): PayloadCommand {
    if (!IMAGE_ID.test(request.image)) throw unsupportedImage(this.name, request.image);
    return this.#build(request, request.image, []);
  }

  pathsInside(): PayloadPaths {
    return { workDirectory: WORK_DIRECTORY_INSIDE, temporaryDirectory: "/tmp" };
  }

  verdict(end: CommandEnd): RuntimeVerdict {
    return verdict(this.name, end);
  }

  removeOrphans(): Promise<number> {
    return this.#path === null ? Promise.resolve(0) : removeOrphanedContainers(this.#program);
  }

  /** Tries the engine's options one after another; the first that work stay. */
  async selfTest(): Promise<SelfTestResult> {
    const { name } = this;
    const { remedy } = this.#dialect;
    const reason = `${name} is not in PATH; to use it, ${remedy}`;
    let result: SelfTestResult = { works: false, reason };
    if (this.#path === null) return result;
    for (const program of this.#programs) {
      this.#program = program;
      result = await this.#testWith(program, this.#path);
      if (result.works) return result;
    }
    return result;
  }

  async #testWith(program: EngineProgram, path: string): Promise<SelfTestResult> {
    const started: PayloadCommand[] = [];
    const result = await runSelfTest({
      name: this.name,
      program: path,
      remedy: this.#dialect.remedy,
      scratchDirectory: this.#scratchDirectory,
      command: async (request, directory) => {
        await makeSelfTestImage(program, join(directory, "image"));
        const command = this.#build(request, SELF_TEST_IMAGE, readHostSystem().directories);
        started.push(command);
        return command;
      },
      verdict: (end) => this.verdict(end),
    });
    // One that hung is still there; that it cannot be removed is no news then.
    if (!result.works)
      for (const { container } of started) await container?.remove().catch(() => undefined);
    return result;
  }

  #build(
    request: Omit<PayloadRequest, "image">,
    image: string,
    readOnlyDirectories: readonly string[],
  ): PayloadCommand {
    const { name, remedy } = this.#dialect;
    if (this.#path === null)
      throw new HyperpilotError({ code: "E_RUNTIME", message: `${name} is not in PATH`, remedy });
    const container = this.#nextName();
    const program = this.#program;
    const { workDirectory, temporaryDirectory, environment, standardInput } = request;
    const names = Object.keys(environment);
    const volumes = [
      [workDirectory, WORK_DIRECTORY_INSIDE],
      ...(request.mounts ?? []).map((inside) => [workDirectory, inside]),
      [temporaryDirectory, "/tmp"],
      [temporaryDirectory, "/var/tmp"],
      ...readOnlyDirectories.map((directory) => [directory, directory, "ro"]),
    ];
    return {
      argv: [
        ...["/bin/sh", "-c", starter(program, container), "sh"],
        ...["run", "--name", container, ...isolation(), ...this.#dialect.runOptions],
        ...volumes.flatMap((parts) => ["--volume", volume(parts)]),
        ...this.#dialect.gpuOptions(request.gpus),
        ...inputOptions(standardInput),
        ...["--workdir", WORK_DIRECTORY_INSIDE],
        ...names.flatMap((key) => ["--env", VARIABLE_PREFIX + key]),
        ...["--env", `HYPERPILOT_CONTAINER=${container}`, "--entrypoint", "/bin/sh"],
        ...[image, "-c", prelude(names, standardInput !== undefined), "sh"],
        ...["/bin/sh", "-c", request.exec],
      ],
      environment: {
        ...program.environment,
        ...Object.fromEntries(
          Object.entries(environment).map(([key, value]) => [VARIABLE_PREFIX + key, value]),
        ),
      },
      reportsStatus: true,
      container: createEngineContainer(program, container),
    };
  }
}

/**
 * Runs the engine's `run`, then asks the engine whether the payload had begun (exit codes 125 to 127 may be the payload's
 * own) and removes the container. Holds no word of the user.
 */
function starter(program: EngineProgram, container: string): string {
  return [
    `engine() { ${program.argv.map((word) => `'${word}'`).join(" ")} "$@"; }`,
    'engine "$@" 3>&-',
    "status=$?",
    `engine inspect --format 'started {{.State.StartedAt}} running {{.State.Running}}' ${container} >&3 2>/dev/null`,
    `engine rm --force --volumes ${program.removeOptions.join(" ")} ${container} >/dev/null 2>&1`,
    "exit $status",
  ].join("\n");
}

/**
 * Inside, before the user's text, as first process of the container: gives the variables their names back, so that none of
 * them reaches the engine's own program and the image's PATH stays in front; hands SIGTERM on to all processes; and
 * collects orphans, while the payload is a process that signals can end. A shell for a person takes its place, as standard
 * input is for processes in the foreground only.
 */
function prelude(names: readonly string[], isShell: boolean): string {
  const variables = names
    .filter((key) => key !== "PATH" && key !== "PWD" && key !== "HOME")
    .map((key) => `${key}=$${VARIABLE_PREFIX}${key}; export ${key}`);
  const all = names.map((key) => VARIABLE_PREFIX + key);
  return [
    isShell ? ":" : "exec 2>&1",
    ...variables,
    names.includes("PATH") ? `PATH="\${PATH:+$PATH:}$${VARIABLE_PREFIX}PATH"; export PATH` : ":",
    `HOME=${WORK_DIRECTORY_INSIDE}; PWD=${WORK_DIRECTORY_INSIDE}; export HOME PWD`,
    `unset asked HYPERPILOT_CONTAINER ${all.join(" ")}`,
    ...(isShell ? ['exec "$@"'] : AS_FIRST_PROCESS),
  ].join("\n");
}

const AS_FIRST_PROCESS: readonly string[] = [
  "trap 'asked=yes; kill -s TERM -- -1' TERM",
  '"$@" &',
  "payload=$!",
  "wait $payload",
  "status=$?",
  // The trap ends a wait early; 127 is that of a payload whose status was told already.
  'while [ -n "$asked" ]; do asked=; wait $payload; again=$?; [ $again = 127 ] || status=$again; done',
  "exit $status",
];

/** A terminal of the container's own: what runs in it cannot type into the person's. */
function inputOptions(input: PayloadRequest["standardInput"]): readonly string[] {
  if (input === undefined) return [];
  return input.type === "terminal" ? ["--interactive", "--tty"] : ["--interactive"];
}

/**
 * Rights and namespaces. The network stays: payloads fetch data. Shared memory gets the kernel's own bound instead of the
 * engine's 64 MB, as training programs pass batches through it; the memory of the payload is watched anyway.
 */
function isolation(): readonly string[] {
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return [
    ...["--pull", "never", "--label", "hyperpilot=payload", "--log-driver", "none"],
    ...["--read-only", "--network", "host", "--ipc", "private", "--user", user],
    ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...["--security-opt", "label=disable", "--no-healthcheck", "--sig-proxy=false"],
    ...["--shm-size", String(Math.floor(totalmem() / 2))],
  ];
}

/** Errors: E_RUNTIME for a path that the option cannot express. */
function volume(parts: readonly string[]): string {
  const unfit = parts.find((part) => /[:,\\]/.test(part));
  if (unfit === undefined) return parts.join(":");
  throw new HyperpilotError({
    code: "E_RUNTIME",
    message: `${unfit} cannot be bound into a container`,
    why: "colon, comma and backslash separate or quote the parts of a volume",
    remedy: "give the pilot a scratch directory without them (TMPDIR)",
  });
}

function verdict(name: string, end: CommandEnd): RuntimeVerdict {
  // Engines write the year 1 for "never".
  const [, year, running] = /^started (\d{4})-.* running (true|false)$/m.exec(end.statusText) ?? [];
  if (year !== undefined && year !== "0001" && running === "false") return { type: "payload" };
  const lines = end.outputTail.trim().split("\n");
  const said = lines.findLast((line) => /^(Error|docker|podman)\b/.test(line)) ?? lines.at(-1);
  const what = running === "true" ? "lost the payload" : "did not start the payload";
  return {
    type: "runtimeFailed",
    message: `${name} ${what} (exit code ${end.exitCode}): ${said ?? ""}`,
  };
}

function unsupportedImage(name: string, image: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_IMAGE",
    message: `${name} cannot run image ${image} here`,
    why: "it runs images of registries",
    remedy: "name an image as docker://registry.example.org/group/image:tag",
  });
}

/** An image for the self-test that every node has: empty, with the node's own programs to be bound in. */
async function makeSelfTestImage(program: EngineProgram, directory: string): Promise<void> {
  if ((await program.run(["image", "inspect", SELF_TEST_IMAGE])).exitCode === 0) return;
  makeHostRoot(directory, readHostSystem(), [WORK_DIRECTORY_INSIDE]);
  const archive = `${directory}.tar`;
  await program.pack(directory, archive);
  await program.runOrThrow(["import", archive, SELF_TEST_IMAGE]);
}
