/** Exit codes of every command: one table, printed by `hyperpilot help exit-codes`. */
export const EXIT = {
  success: 0,
  failed: 1,
  usage: 2,
  cancelled: 3,
  unauthenticated: 4,
  taskUnsuccessful: 5,
  notFound: 6,
  conflict: 7,
  notFinished: 8,
  refusedByLimit: 9,
  unreachable: 10,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface ErrorKind {
  readonly exit: ExitCode;
  readonly http: number;
}

/** Every error code, with the exit code of a command and the HTTP status of an answer that end with it. */
export const ERROR_KINDS = {
  E_INTERNAL: { exit: EXIT.failed, http: 500 },
  E_USAGE: { exit: EXIT.usage, http: 400 },
  E_JSON: { exit: EXIT.usage, http: 400 },
  E_SEARCH_SPACE: { exit: EXIT.usage, http: 400 },
  E_TASK_SPECIFICATION: { exit: EXIT.usage, http: 400 },
  E_QUEUE_CONFIG: { exit: EXIT.usage, http: 400 },
  E_CONFIG: { exit: EXIT.usage, http: 400 },
  E_FILE: { exit: EXIT.usage, http: 400 },
  E_SANDBOX_SIZE: { exit: EXIT.refusedByLimit, http: 413 },
  E_TOO_LARGE: { exit: EXIT.refusedByLimit, http: 413 },
  E_LIMIT: { exit: EXIT.refusedByLimit, http: 429 },
  E_UNAUTHENTICATED: { exit: EXIT.unauthenticated, http: 401 },
  E_FORBIDDEN: { exit: EXIT.notFound, http: 403 },
  E_NOT_FOUND: { exit: EXIT.notFound, http: 404 },
  E_CONFLICT: { exit: EXIT.conflict, http: 409 },
  E_STALE: { exit: EXIT.conflict, http: 409 },
  E_TASK_UNSUCCESSFUL: { exit: EXIT.taskUnsuccessful, http: 409 },
  E_NOT_FINISHED: { exit: EXIT.notFinished, http: 409 },
  E_UNREACHABLE: { exit: EXIT.unreachable, http: 503 },
  E_PROTOCOL: { exit: EXIT.failed, http: 400 },
  E_PROTOCOL_VERSION: { exit: EXIT.failed, http: 426 },
  E_CHECKSUM: { exit: EXIT.failed, http: 400 },
  E_JOURNAL_BROKEN: { exit: EXIT.failed, http: 503 },
  E_JOURNAL_WRITE: { exit: EXIT.failed, http: 503 },
  E_JOURNAL_VERSION: { exit: EXIT.failed, http: 503 },
  E_JOURNAL_LOCKED: { exit: EXIT.failed, http: 503 },
  E_FENCED: { exit: EXIT.failed, http: 503 },
  E_BACKUP: { exit: EXIT.failed, http: 500 },
  E_STORAGE_FULL: { exit: EXIT.failed, http: 507 },
  E_BAD_OUTPUT: { exit: EXIT.failed, http: 400 },
  E_PAYLOAD: { exit: EXIT.failed, http: 400 },
  E_MEMORY: { exit: EXIT.failed, http: 400 },
  E_TIMEOUT: { exit: EXIT.failed, http: 408 },
  E_RUNTIME: { exit: EXIT.failed, http: 500 },
  E_RUNTIME_MISSING: { exit: EXIT.failed, http: 500 },
  E_IMAGE: { exit: EXIT.failed, http: 400 },
  E_BATCH: { exit: EXIT.failed, http: 502 },
  E_STEERING: { exit: EXIT.failed, http: 500 },
} as const satisfies Record<string, ErrorKind>;
export type ErrorCode = keyof typeof ERROR_KINDS;

/** The four parts that every message to a person has: what happened (with code), why, and what to do. */
export interface ErrorParts {
  readonly code: ErrorCode;
  readonly message: string;
  readonly why?: string;
  readonly remedy?: string;
}

/** An operating error: expected, handled or passed on, shown to people with its parts. */
export class HyperpilotError extends Error {
  readonly code: ErrorCode;
  readonly why: string | undefined;
  readonly remedy: string | undefined;

  constructor(parts: ErrorParts, cause?: unknown) {
    super(parts.message, cause === undefined ? undefined : { cause });
    this.name = "HyperpilotError";
    this.code = parts.code;
    this.why = parts.why;
    this.remedy = parts.remedy;
  }

  get exitCode(): ExitCode {
    return ERROR_KINDS[this.code].exit;
  }

  get httpStatus(): number {
    return ERROR_KINDS[this.code].http;
  }

  get parts(): ErrorParts {
    return {
      code: this.code,
      message: this.message,
      ...(this.why === undefined ? {} : { why: this.why }),
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
    };
  }
}

/** Text of an unknown thrown value, for messages. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system error such as ENOSPC, or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (
    typeof error === "object" &&
    error !== null &&
    "code" in error &&
    typeof error.code === "string"
  )
    return error.code;
  return undefined;
}
