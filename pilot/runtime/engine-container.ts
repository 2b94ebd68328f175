/** One container of an engine: found, ended and removed through the engine, and found again when its pilot is gone. */
import { readlinkSync } from "node:fs";
import { HyperpilotError } from "../../protocol/errors.ts";
import { descendants, processesNaming, readProc, startTicksOf } from "../process-tree.ts";
import type { EngineProgram } from "./engine-program.ts";
import type { Container } from "./runtime.ts";

const NAME = /^hyperpilot-(\d+)-(\d+)-(\d+)-\d+$/;
let lastNumber = 0;

/**
 * Names that tell whose container it is: the PID namespace of the pilot, its process id in there, when that process
 * started, and a number.
 */
export function containerNames(): () => string {
  const owner = `hyperpilot-${pidNamespace()}-${process.pid}-${startTicksOf("self") ?? "0"}`;
  return () => {
    lastNumber += 1;
    return `${owner}-${lastNumber}`;
  };
}

/** The inode of this process's PID namespace; "0" where the kernel does not tell. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
}

export function createEngineContainer(program: EngineProgram, name: string): Container {
  const removal = ["rm", "--force", "--volumes", ...program.removeOptions, name];
  let first: number | null = null;
  return {
    firstPid: async () => {
      if (first !== null) return first;
      const { stdout, exitCode } = await program.run([
        ...["inspect", "--format", "{{.State.Pid}}"],
        name,
      ]);
      const pid = exitCode === 0 ? Number(stdout.trim()) : 0;
      // A daemon in another PID namespace tells numbers that are somebody else's here.
      if (pid > 0 && readProc(`/proc/${pid}/environ`).includes(`HYPERPILOT_CONTAINER=${name}`))
        first = pid;
      return first;
    },
    terminate: async () => {
      await program.run(["kill", "--signal", "TERM", name]);
    },
    remove: async () => {
      const result = await program.run(removal);
      endStrays(name);
      if (result.exitCode === 0 || /no such container/i.test(result.stderr)) return;
      throw new HyperpilotError({
        code: "E_RUNTIME",
        message: `the container ${name} cannot be removed`,
        why: result.timedOut ? "the engine does not answer" : result.stderr.trim(),
        remedy: `look at it on the node: ${program.argv.join(" ")} ps --all`,
      });
    },
    removal: { argv: [...program.argv, ...removal], environment: program.environment },
  };
}

/** An engine that was killed while it made a container leaves the monitor and the first process without a record. */
function endStrays(name: string): void {
  for (const pid of processesNaming(`\0${name}\0`))
    for (const victim of [...descendants(pid), pid]) kill(victim);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself, or is not ours.
  }
}

/** Removes containers of pilots of this node and PID namespace that have ended. Never rejects. */
export async function removeOrphanedContainers(program: EngineProgram): Promise<number> {
  const args = ["ps", "--all", "--filter", "label=hyperpilot=payload", "--format", "{{.Names}}"];
  const { stdout, exitCode } = await program.run(args);
  if (exitCode !== 0) return 0;
  const orphans = stdout.split("\n").filter(isOrphaned);
  const removed = await Promise.all(
    orphans.map((name) =>
      createEngineContainer(program, name)
        .remove()
        .then(
          () => true,
          () => false,
        ),
    ),
  );
  return removed.filter(Boolean).length;
}

function isOrphaned(name: string): boolean {
  const [, namespace, pid, startTicks] = NAME.exec(name) ?? [];
  return namespace === pidNamespace() && startTicksOf(Number(pid)) !== startTicks;
}
