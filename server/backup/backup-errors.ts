/** What backup and restore say to people. */
import { HyperpilotError, errorText, systemErrorCode } from "../../protocol/errors.ts";

export function damagedBackup(path: string, cause: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_BACKUP",
      message: `The backup ${path} cannot be restored.`,
      why: errorText(cause),
      remedy:
        "Nothing was written. Take another backup file; one that was made completely has no .partial in its name.",
    },
    cause,
  );
}

export function backupNotWritten(path: string, cause: unknown): HyperpilotError {
  const isFull = systemErrorCode(cause) === "ENOSPC" || systemErrorCode(cause) === "EDQUOT";
  return new HyperpilotError(
    {
      code: isFull ? "E_STORAGE_FULL" : "E_BACKUP",
      message: `The backup ${path} could not be made.`,
      why: errorText(cause),
      remedy: isFull
        ? "Free space there, or name another place with --to. The server is not touched."
        : "Try again. The server is not touched, and no file is left behind.",
    },
    cause,
  );
}

export function notEmpty(path: string, what: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `${path} ${what}`,
    why: "Nothing that is there is overwritten.",
    remedy: "Name another place.",
  });
}
