/** What the journal says to people. */
import { HyperpilotError, errorText } from "../../protocol/errors.ts";

/** Another process has the journal. */
export function locked(directory: string, cause: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_JOURNAL_LOCKED",
      message: `Another server uses ${directory}.`,
      why: "A data directory belongs to one running server.",
      remedy: "Stop it first, or start this one with another --data directory.",
    },
    cause,
  );
}

/** A newer open took over. */
export function fenced(term: number, current: number): HyperpilotError {
  return new HyperpilotError({
    code: "E_FENCED",
    message: `A writer of term ${term} was refused; the journal is at term ${current}.`,
    why: "A newer server has taken the journal over.",
    remedy: "Stop this server.",
  });
}

/** The machine does not let an intact journal be opened. */
export function openFailed(directory: string, cause: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_JOURNAL_WRITE",
      message: `The journal in ${directory} could not be opened for writing.`,
      why: errorText(cause instanceof Error && cause.cause !== undefined ? cause.cause : cause),
      remedy:
        "Nothing is lost. Free space there, or give this user access to it, then start the server again.",
    },
    cause,
  );
}

/** After it nothing more is written by this process. */
export function writeFailed(seq: number, cause: unknown): HyperpilotError {
  const detail =
    cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : errorText(cause);
  return new HyperpilotError(
    {
      code: "E_JOURNAL_WRITE",
      message: `The journal could not be written at event ${seq}; the server stops.`,
      why: detail,
      remedy:
        "Nothing that was acknowledged is lost. Free space or repair the disk under the data directory, then start the server again: pilots come back by themselves.",
    },
    cause,
  );
}

/** The error with which a server refuses to start. */
export function brokenJournal(seq: number, why: string, cause?: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_JOURNAL_BROKEN",
      message: `The journal is broken at event ${seq}.`,
      why,
      remedy:
        "The server does not start on it, because results could be missing. Keep a copy of the data directory, check the disk, and restore the last backup: hyperpilot server restore --from FILE --data NEWDIR",
    },
    cause,
  );
}

/** An intact journal that this program cannot read: nothing in it may be skipped. */
export function tooNew(seq: number, why: string, cause?: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_JOURNAL_VERSION",
      message: `This program is too old for the journal: event ${seq} was written by a newer one.`,
      why,
      remedy:
        "Nothing is lost or changed. Start the newer program again, or restore a backup that this one wrote.",
    },
    cause,
  );
}
