/** What goes into the agent and what comes out: closed unions. */
import type {
  BlobRef,
  FromPilot,
  FromPilotOf,
  GrantedItem,
  HeldLease,
  Outcome,
  ToPilot,
} from "../protocol/pilot-messages.ts";
import type { Capacity, SlotResources } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";

export interface AgentOptions {
  readonly instance: string;
  readonly capacity: Capacity;
  readonly slots: readonly SlotResources[];
  /** A pilot without work leaves after this long. */
  readonly idleSeconds: number;
  /** Results that are kept at most; the oldest goes first. */
  readonly outboxItemsMax?: number;
  /** Uniform in [0, 1): spreads the beats. */
  readonly random: () => number;
}

/** Why the pilot leaves; the program turns it into an exit code. */
export type ExitReason = "idle" | "drained" | "stopped" | "refused";

/** What a result tells of files besides the outcome. */
export type LeftByEvaluation = Pick<
  FromPilotOf<"result">,
  "metadata" | "metrics" | "restored" | "warnings"
>;

export type AgentInput =
  | { readonly type: "connected" }
  | { readonly type: "disconnected" }
  | { readonly type: "message"; readonly message: ToPilot }
  | {
      readonly type: "payloadEnded";
      readonly lease: HeldLease;
      readonly outcome: Outcome | null;
      readonly durationSeconds: number;
      readonly log: string;
      readonly left: LeftByEvaluation;
    }
  /** A newer checkpoint of a running evaluation is on the server, as bytes. */
  | { readonly type: "checkpointSaved"; readonly lease: HeldLease; readonly checkpoint: BlobRef }
  /** What the user should know of a running evaluation from now on; null: nothing any more. */
  | { readonly type: "warned"; readonly lease: HeldLease; readonly text: string | null }
  /** `answer` null: it was stopped, or the node is to blame for nothing that a try should pay for. */
  | {
      readonly type: "runEnded";
      readonly lease: HeldLease;
      readonly answer: { readonly points: string | null; readonly message: string } | null;
      readonly log: string;
    }
  /** `walltimeOver`: running payloads had all the time there was, which uses an attempt; else it is an eviction. */
  | {
      readonly type: "stopRequested";
      readonly reason: string;
      readonly walltimeOver: boolean;
    }
  | { readonly type: "tick" };

export type AgentAction =
  | { readonly type: "send"; readonly messages: readonly FromPilot[] }
  | { readonly type: "start"; readonly item: GrantedItem; readonly spec: TaskSpecification }
  /** End the payload; what becomes of its end is known here. `saves`: not before it had a chance to save its state. */
  | { readonly type: "stopPayload"; readonly slot: number; readonly saves: boolean }
  | { readonly type: "exit"; readonly reason: ExitReason; readonly detail: string };

export interface Agent {
  handle(input: AgentInput, nowMs: number): AgentAction[];
  /** Leases held now: running ones, and finished ones whose result is not answered yet. */
  held(): readonly HeldLease[];
}
