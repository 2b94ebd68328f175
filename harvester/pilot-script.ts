/**
 * The script that a batch system runs: an operator's preamble, then the pilot in place of the shell, so that signals reach it.
 * It holds names and paths only; the secret stays in the boot file. Pure.
 */
import type { QueueConfig } from "../protocol/queue.ts";
import { quoted } from "./shell-text.ts";

export interface PilotScript {
  readonly submissionId: string;
  readonly queue: QueueConfig;
  /** Words that start the pilot, boot file included, as the node sees them. */
  readonly launch: readonly string[];
  /** Lines before everything else. */
  readonly before?: readonly string[];
}

/** Signals by which batch systems announce an end; see the table of each system. */
const NOTICES = ["TERM", "INT", "HUP", "USR1", "USR2", "XCPU"] as const;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function pilotScript({ submissionId, queue, launch, before = [] }: PilotScript): string {
  const { preamble, epilogue, scratchDirectory } = queue.pilot;
  const command = launch.map(quoted).join(" ");
  return [
    "#!/bin/sh",
    `# Pilot ${submissionId} of queue ${queue.name}, submitted by the harvester.`,
    // Before the pilot takes over, the end of the job is not a failure.
    `trap 'echo "the job was ended before its pilot started" >&2; exit 0' ${NOTICES.join(" ")}`,
    `PATH=\${PATH:-${PATH}}; export PATH`,
    ...(scratchDirectory === null
      ? []
      : [`HYPERPILOT_SCRATCH=${quoted(scratchDirectory)}; export HYPERPILOT_SCRATCH`]),
    ...before,
    ...preamble,
    ...(epilogue.length === 0 ? [`exec ${command}`] : withEpilogue(command, epilogue)),
    "",
  ].join("\n");
}

/** A shell runs its traps only between commands: the pilot runs beside it and the shell waits, again after each signal. */
function withEpilogue(command: string, epilogue: readonly string[]): string[] {
  return [
    ...NOTICES.map((signal) => `trap 'kill -s ${signal} "$pilot" 2>/dev/null' ${signal}`),
    `${command} &`,
    "pilot=$!",
    'wait "$pilot"; status=$?',
    'while kill -0 "$pilot" 2>/dev/null; do wait "$pilot"; status=$?; done',
    ...epilogue,
    'exit "$status"',
  ];
}
