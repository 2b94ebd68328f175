/** Payloads in bubblewrap: an unprivileged sandbox that needs nothing but user namespaces. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import { findProgram } from "./find-program.ts";
import { gpuDevices } from "./gpu-devices.ts";
import { type HostSystem, readHostSystem } from "./host-system.ts";
import { imageDirectory } from "./image-directory.ts";
import { kernelPaths } from "./kernel-paths.ts";
import {
  type CommandEnd,
  type PayloadCommand,
  type PayloadRequest,
  type Runtime,
  WORK_DIRECTORY_INSIDE,
} from "./runtime.ts";
import { runSelfTest } from "./self-test.ts";

const REMEDY =
  "install bubblewrap (Debian: apt-get install bubblewrap) and allow user namespaces (user.max_user_namespaces above 0)";

export interface BubblewrapOptions {
  /** Directory of the pilot for the made-up passwd and group files and for self-tests. */
  readonly scratchDirectory: string;
  /** Path of bwrap; found in PATH when not given. */
  readonly program?: string;
}

/** The bubblewrap runtime. Writes two small files into the scratch directory; whether it works is for `selfTest` to say. */
export function createBubblewrap(options: BubblewrapOptions): Runtime {
  const program = options.program ?? findProgram("bwrap");
  const identity = writeIdentityFiles(options.scratchDirectory);
  let host: HostSystem | null = null;

  function command(request: PayloadRequest): PayloadCommand {
    if (program === null)
      throw new HyperpilotError({
        code: "E_RUNTIME",
        message: "bwrap is not in PATH",
        remedy: REMEDY,
      });
    host ??= readHostSystem();
    return {
      argv: [
        program,
        ...isolation(request.standardInput),
        ...rootArguments(request, host, identity),
        ...gpuDevices(request.gpus).flatMap((path) => ["--dev-bind-try", path, path]),
        "--bind",
        request.workDirectory,
        WORK_DIRECTORY_INSIDE,
        ...(request.mounts ?? []).flatMap((path) => ["--bind", request.workDirectory, path]),
        // Both are file systems in memory that bwrap leaves writable; the mount points above are in place by now.
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
        "--chdir",
        WORK_DIRECTORY_INSIDE,
        "--json-status-fd",
        "3",
        "--",
        "/bin/sh",
        "-c",
        request.exec,
      ],
      environment: request.environment,
      reportsStatus: true,
    };
  }

  return {
    name: "bubblewrap",
    supports: (image) => image === "host:" || (image.startsWith("/") && !image.endsWith(".sif")),
    command,
    pathsInside: () => ({ workDirectory: WORK_DIRECTORY_INSIDE, temporaryDirectory: "/tmp" }),
    verdict,
    selfTest: async () => {
      if (program === null)
        return { works: false, reason: `bwrap is not in PATH; to use it, ${REMEDY}` };
      return runSelfTest({
        name: "bubblewrap",
        program,
        remedy: REMEDY,
        scratchDirectory: options.scratchDirectory,
        command: (request) => command({ ...request, image: "host:" }),
        verdict,
      });
    },
  };
}

/**
 * Namespaces and rights. Without `--unshare-user --cap-drop ALL` a sandbox started by root keeps every capability, and a
 * remount of /usr succeeds. The network stays: payloads fetch data. The environment is not in the argument list, which
 * every user of the node can read, but is that of bwrap itself, which hands it on.
 */
const ISOLATION: readonly string[] = [
  "--unshare-user",
  "--unshare-pid",
  "--unshare-ipc",
  "--unshare-uts",
  "--unshare-cgroup-try",
  "--die-with-parent",
  "--new-session",
  "--cap-drop",
  "ALL",
];

/**
 * A session of its own keeps a payload from a terminal, and from typing into it. A shell for a person needs the terminal: there
 * the filter keeps it from typing.
 */
function isolation(input: PayloadRequest["standardInput"]): readonly string[] {
  if (input?.type !== "terminal" || !input.hasFilter) return ISOLATION;
  return [...ISOLATION.filter((word) => word !== "--new-session"), "--seccomp", "4"];
}

interface IdentityFiles {
  readonly passwd: string;
  readonly group: string;
}

/** passwd and group with the payload's own user only: programs ask for their user's name, and need nobody else's. */
function writeIdentityFiles(scratchDirectory: string): IdentityFiles {
  const directory = join(scratchDirectory, "bubblewrap-etc");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = { passwd: join(directory, "passwd"), group: join(directory, "group") };
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  writeFileSync(files.passwd, `payload:x:${uid}:${gid}::${WORK_DIRECTORY_INSIDE}:/bin/sh\n`);
  writeFileSync(files.group, `payload:x:${gid}:\n`);
  return files;
}

/** The root file system: the host's system directories or an image, with /proc, /dev and private temporary directories. */
function rootArguments(
  request: PayloadRequest,
  host: HostSystem,
  identity: IdentityFiles,
): readonly string[] {
  const kernel = [
    ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"],
    ...kernelPaths().settings.flatMap((path) => ["--ro-bind", path, path]),
  ];
  const temporary = ["/tmp", "/var/tmp"].flatMap((path) => [
    "--bind",
    request.temporaryDirectory,
    path,
  ]);
  if (request.image !== "host:")
    return ["--ro-bind", imageDirectory(request), "/", ...kernel, ...temporary];
  const readOnly = (path: string) => ["--ro-bind-try", path, path];
  return [
    ...host.directories.flatMap(readOnly),
    ...host.links.flatMap((link) => ["--symlink", link.target, link.path]),
    ...host.configuration.flatMap(readOnly),
    "--ro-bind",
    identity.passwd,
    "/etc/passwd",
    "--ro-bind",
    identity.group,
    "/etc/group",
    ...kernel,
    ...temporary,
    ...operatorPaths(request.readOnlyPaths),
  ];
}

/** Shorter paths first, so that no path is hidden by a later one above it. */
function operatorPaths(paths: readonly string[]): readonly string[] {
  if (paths.some((path) => /^\/+$/.test(path)))
    throw new HyperpilotError({
      code: "E_RUNTIME",
      message: 'readOnlyPaths of the queue holds "/"',
      why: "payloads would read every file of the node, those of the pilot included",
      remedy: "name the directories that payloads need",
    });
  return [...paths]
    .sort((a, b) => a.length - b.length)
    .flatMap((path) => ["--ro-bind", path, path]);
}

/** bwrap writes the exit code to its status descriptor only when the payload's shell has been started. */
function verdict(end: CommandEnd): ReturnType<Runtime["verdict"]> {
  // A bwrap that was ended by a signal had no time to write; it had started the payload.
  const wasKilled = end.exitCode > 128;
  if (end.statusText.includes('"exit-code"') || wasKilled) return { type: "payload" };
  const said = end.outputTail.trim().split("\n").at(-1) ?? "";
  return {
    type: "runtimeFailed",
    message: `bubblewrap did not start the payload (exit code ${end.exitCode}): ${said}`,
  };
}
