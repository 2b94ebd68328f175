/** Payloads in Apptainer, or in Singularity, its elder: SIF files, sandbox directories, images of registries made SIF files. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import { findProgram } from "./find-program.ts";
import { makeHostRoot, readHostSystem } from "./host-system.ts";
import { permittedImage } from "./image-directory.ts";
import { kernelPaths } from "./kernel-paths.ts";
import {
  type CommandEnd,
  type PayloadCommand,
  type PayloadRequest,
  type Runtime,
  WORK_DIRECTORY_INSIDE,
} from "./runtime.ts";
import { runSelfTest } from "./self-test.ts";
import { createSifStore } from "./sif-store.ts";

export interface ApptainerOptions {
  readonly name: "apptainer" | "singularity";
  /** Directory of the pilot for self-tests. */
  readonly scratchDirectory: string;
  /** Path of the program; found in PATH when not given. */
  readonly program?: string;
}

/** What the program itself finds its helpers with; the payload has its own. */
const OWN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const STARTED = "payload started";

/**
 * Inside, before the user's text: tells on descriptor 3 that the container stands, as exit code 255 with a line of FATAL could
 * be the payload's own, and sets HOME, which the program lets nobody set from outside.
 */
const PRELUDE = `echo '${STARTED}' >&3; exec 3>&-; HOME=${WORK_DIRECTORY_INSIDE}; export HOME; exec "$@"`;

/** The runtime `apptainer` or `singularity`. Whether it works on this node is for `selfTest` to say. */
export function createApptainer(options: ApptainerOptions): Runtime {
  const { name, scratchDirectory } = options;
  const program = options.program ?? findProgram(name);
  const empty = join(scratchDirectory, "empty");
  const remedy = `install ${name} (Debian: apt-get install apptainer) and allow user namespaces (user.max_user_namespaces above 0)`;

  function build(
    request: Omit<PayloadRequest, "image">,
    image: string,
    binds: readonly string[],
  ): PayloadCommand {
    if (program === null)
      throw new HyperpilotError({
        code: "E_RUNTIME",
        message: `${name} is not in PATH`,
        remedy,
      });
    const { workDirectory, temporaryDirectory } = request;
    return {
      argv: [
        program,
        "--quiet",
        "exec",
        ...isolation(),
        ...(request.writableRoot === true ? ["--writable-tmpfs"] : []),
        "--pwd",
        WORK_DIRECTORY_INSIDE,
        ...[
          bind(workDirectory, WORK_DIRECTORY_INSIDE),
          ...(request.mounts ?? []).map((path) => bind(workDirectory, path)),
          bind(temporaryDirectory, "/tmp"),
          bind(temporaryDirectory, "/var/tmp"),
          ...protection(empty),
          ...binds,
        ].flatMap((text) => ["--bind", text]),
        ...(request.gpus.length > 0 ? ["--nv"] : []),
        image,
        ...["/bin/sh", "-c", PRELUDE, "sh", "/bin/sh", "-c", request.exec],
      ],
      environment: outerEnvironment(request.environment),
      reportsStatus: true,
    };
  }

  return {
    name,
    supports: (image) => image.startsWith("/") || image.startsWith("docker://"),
    command: (request) => {
      if (!request.image.startsWith("/")) throw unsupportedImage(name, request.image);
      return build(request, permittedImage(request), []);
    },
    pathsInside: () => ({ workDirectory: WORK_DIRECTORY_INSIDE, temporaryDirectory: "/tmp" }),
    verdict: (end) => verdict(name, end),
    store: createSifStore({ name, program: program ?? name, path: OWN_PATH }),
    selfTest: async () => {
      if (program === null)
        return { works: false, reason: `${name} is not in PATH; to use it, ${remedy}` };
      return runSelfTest({
        name,
        program,
        remedy,
        scratchDirectory,
        command: (request, directory) => {
          const { image, binds } = makeHostImage(join(directory, "image"));
          return build(request, image, binds);
        },
        verdict: (end) => verdict(name, end),
      });
    },
  };
}

/** Only root may give up privileges that others do not have; without it, root's payload keeps capabilities. */
function isolation(): readonly string[] {
  const privileges = process.getuid?.() === 0 ? ["--no-privs"] : [];
  return [...privileges, "--containall", "--no-home", "--cleanenv"];
}

/** Root's payload owns what the node's root owns: settings of the kernel, and the files that the program binds by itself. */
function protection(empty: string): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const { settings, belowSys } = kernelPaths();
  const files = ["/etc/hosts", "/etc/localtime"].filter((path) => existsSync(path));
  mkdirSync(empty, { recursive: true, mode: 0o700 });
  return [
    ...[...settings, "/sys", ...files].map((path) => `${bind(path, path)}:ro`),
    ...belowSys.map((path) => `${bind(empty, path)}:ro`),
  ];
}

/** Errors: E_RUNTIME for a path that the option cannot express. */
function bind(from: string, to: string): string {
  if (/[:,\\]/.test(from))
    throw new HyperpilotError({
      code: "E_RUNTIME",
      message: `${from} cannot be bound into a container`,
      why: "colon, comma and backslash separate or quote the parts of a bind",
      remedy: "give the pilot a scratch directory without them (TMPDIR)",
    });
  return `${from}:${to}`;
}

/**
 * Values travel in the program's own environment: the argument list can be read by every user of the node. Both prefixes,
 * as either program may be a link to the other. The image's own PATH stays in front.
 */
function outerEnvironment(payload: Readonly<Record<string, string>>): Record<string, string> {
  const outer: Record<string, string> = { PATH: OWN_PATH };
  for (const prefix of ["APPTAINER", "SINGULARITY"]) {
    // Values are taken as they are, not expanded by a shell inside.
    outer[`${prefix}_NO_EVAL`] = "1";
    for (const [key, value] of Object.entries(payload)) {
      // Both are the container's own: --pwd and the prelude set them.
      if (key === "HOME" || key === "PWD") continue;
      outer[`${prefix}ENV_${key === "PATH" ? "APPEND_PATH" : key}`] = value;
    }
  }
  return outer;
}

function verdict(name: string, end: CommandEnd): ReturnType<Runtime["verdict"]> {
  if (end.statusText.includes(STARTED)) return { type: "payload" };
  const lines = end.outputTail.trim().split("\n");
  const said = lines.findLast((line) => line.includes("FATAL")) ?? lines.at(-1) ?? "";
  return {
    type: "runtimeFailed",
    message: `${name} did not start the payload (exit code ${end.exitCode}): ${said}`,
  };
}

function unsupportedImage(name: string, image: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_IMAGE",
    message: `${name} cannot run image ${image} here`,
    why: "it runs SIF files and sandbox directories of the node",
    remedy: "name the absolute path of a SIF file or of a sandbox directory",
  });
}

/** An image for the self-test that every node has: an empty root with the node's own programs bound in, read-only. */
function makeHostImage(image: string): { image: string; binds: readonly string[] } {
  const host = readHostSystem();
  makeHostRoot(image, host, [WORK_DIRECTORY_INSIDE]);
  return { image, binds: host.directories.map((path) => `${bind(path, path)}:ro`) };
}
