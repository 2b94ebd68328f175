/** What enters the reactor, and what leaves it: closed unions. */
import type {
  Epoch,
  Item,
  PilotId,
  PointId,
  QueueName,
  SubmissionId,
  TaskId,
} from "../protocol/ids.ts";
import type { ErrorParts } from "../protocol/errors.ts";
import type { FromHarvester, ToHarvester } from "../protocol/harvester-messages.ts";
import type { FromPilot, ToPilot } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { Limits, TaskSpecification } from "../protocol/task.ts";
import type { Role } from "./events.ts";
import type { PeerToken, SessionId } from "./live.ts";

/** Who sends a command: a user by token, or the server itself. */
export interface Principal {
  readonly user: string;
  readonly roles: Role["roles"];
}

export type ControlAction = "pause" | "resume" | "finish" | "hardFinish" | "kill";

/** A change asked for through REST; answered when it is durable. */
export type Command =
  | { readonly type: "submitTask"; readonly spec: TaskSpecification }
  | { readonly type: "controlTask"; readonly taskId: TaskId; readonly action: ControlAction }
  | { readonly type: "changeLimits"; readonly taskId: TaskId; readonly limits: Partial<Limits> }
  | { readonly type: "retryPoints"; readonly taskId: TaskId; readonly pointIds: readonly string[] }
  | {
      readonly type: "putQueue";
      readonly config: QueueConfig;
      /** Paths of the values that were written, and the file or program that they come from. */
      readonly given?: readonly string[];
      readonly source?: string;
    }
  | { readonly type: "removeQueue"; readonly name: QueueName }
  | {
      readonly type: "issueToken";
      readonly id: string;
      readonly sha256: string;
      readonly role: Role;
      readonly name: string;
    }
  | { readonly type: "revokeToken"; readonly id: string }
  | {
      readonly type: "addBootSecrets";
      readonly queue: QueueName;
      /** Id of the harvester that gets them. */
      readonly harvester?: string;
      readonly secrets: readonly { readonly submissionId: SubmissionId; readonly sha256: string }[];
    }
  /** Submit one pilot to try a queue. The secret goes to the harvester and nowhere else. */
  | {
      readonly type: "testQueue";
      readonly name: QueueName;
      readonly submissionId: SubmissionId;
      readonly sha256: string;
      readonly secret: string;
    }
  /** `id`: of a pilot or of a submission. */
  | { readonly type: "drainPilot"; readonly id: string; readonly kill: boolean }
  | { readonly type: "fetchOutput"; readonly id: string }
  | {
      readonly type: "drainNode";
      readonly queue: QueueName;
      readonly node: string;
      readonly drained: boolean;
      readonly reason: string;
    }
  /** A stored checkpoint was found to be of no use. */
  | {
      readonly type: "dropCheckpoint";
      readonly taskId: TaskId;
      readonly pointId: PointId;
      readonly sha256: string;
      readonly reason: string;
    }
  | {
      readonly type: "exchangeBootSecret";
      readonly sha256: string;
      readonly instance: string;
      /** Id for the pilot if this is a new instance. */
      readonly newPilotId: PilotId;
    };

/** Values of successful commands. */
export interface CommandValues {
  readonly submitTask: {
    readonly taskId: TaskId;
    readonly existed: boolean;
    readonly warnings: readonly string[];
  };
  readonly controlTask: {
    readonly taskId: TaskId;
    readonly state: string;
    readonly reason: string;
  };
  readonly changeLimits: CommandValues["controlTask"];
  readonly retryPoints: CommandValues["controlTask"];
  readonly putQueue: QueueConfig;
  readonly removeQueue: null;
  readonly issueToken: null;
  readonly revokeToken: null;
  readonly addBootSecrets: null;
  readonly testQueue: { readonly submissionId: SubmissionId };
  readonly drainPilot: { readonly submissionId: SubmissionId; readonly said: string };
  readonly fetchOutput: { readonly submissionId: SubmissionId; readonly output: string };
  readonly drainNode: null;
  readonly dropCheckpoint: null;
  readonly exchangeBootSecret: {
    readonly pilotId: PilotId;
    readonly submissionId: SubmissionId;
    readonly queue: QueueName;
    readonly leaseSeconds: number;
  };
}
export type CommandOf<T extends Command["type"]> = Extract<Command, { type: T }>;

/** Proposals of built-in steering in one segment. */
export interface ProposedPart {
  readonly segment: number;
  /** JSON texts `{hp}`. */
  readonly texts: readonly string[];
  /** Why there will never be more; null while there may be. */
  readonly exhausted: string | null;
}

export type InboxItem =
  | {
      readonly type: "pilot";
      readonly session: SessionId;
      readonly pilotId: PilotId;
      readonly submissionId: SubmissionId;
      readonly message: FromPilot;
    }
  | { readonly type: "pilotClosed"; readonly session: SessionId }
  | {
      readonly type: "harvester";
      readonly session: SessionId;
      /** By which it was let in. */
      readonly token?: PeerToken;
      readonly message: FromHarvester;
    }
  | { readonly type: "harvesterClosed"; readonly session: SessionId }
  | {
      readonly type: "command";
      readonly requestId: number;
      readonly principal: Principal;
      readonly command: Command;
    }
  /** The answer of built-in steering. */
  | {
      readonly type: "proposed";
      readonly taskId: TaskId;
      readonly run: number;
      readonly epoch: Epoch;
      readonly answer:
        | {
            readonly ok: true;
            /** One per segment for which the run was opened; one of a task without segments. */
            readonly parts: readonly ProposedPart[];
          }
        | { readonly ok: false; readonly reason: string };
    }
  /** After a start: gives all leases fresh time and asks again for open runs. */
  | { readonly type: "started" }
  | { readonly type: "tick" };

/** Codes with which a WebSocket is closed (RFC 6455 and its private range). */
export const CLOSE = {
  protocolViolation: 1008,
  malformed: 1007,
  tooSlow: 1013,
  replaced: 4000,
  shuttingDown: 1012,
} as const;

export type Effect =
  | { readonly type: "toPilot"; readonly session: SessionId; readonly message: ToPilot }
  | { readonly type: "toHarvester"; readonly session: SessionId; readonly message: ToHarvester }
  | {
      readonly type: "close";
      readonly session: SessionId;
      readonly code: number;
      readonly reason: string;
    }
  /** Ask built-in steering; the request is read off the core when the effect runs. */
  | { readonly type: "ask"; readonly taskId: TaskId; readonly run: number; readonly epoch: Epoch }
  | { readonly type: "reply"; readonly requestId: number; readonly value: unknown }
  | { readonly type: "replyError"; readonly requestId: number; readonly error: ErrorParts }
  | {
      readonly type: "appendLog";
      readonly taskId: TaskId;
      readonly pointId: string;
      readonly epoch: Epoch;
      readonly text: string;
    }
  /** Draw secrets for new submissions, journal their hashes by `addBootSecrets`, then send them. */
  | {
      readonly type: "drawSecrets";
      readonly session: SessionId;
      readonly queue: QueueName;
      /** Id of the harvester. */
      readonly harvester: string;
      readonly count: number;
    }
  | {
      readonly type: "audit";
      readonly what: string;
      readonly who: string;
      readonly detail: string;
    }
  /** Blobs that are referred to now, once more each, and blobs that nothing refers to any more. */
  | {
      readonly type: "blobs";
      readonly referred: readonly string[];
      readonly unreferenced: readonly string[];
    };

/** What the reactor may use besides core and live: pure functions. */
export interface ReactorPorts {
  /** sha256 of a text, hex. */
  readonly sha256: (text: string) => string;
  /** Bearer token for the bytes of one lease. */
  readonly leaseToken: (item: Item, epoch: Epoch) => string;
}

export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}
