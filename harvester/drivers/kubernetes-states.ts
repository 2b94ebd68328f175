/** What `kubectl get pods -o json` prints, as truth. Pure. */
import { z } from "zod";
import type { BatchTruth } from "../driver.ts";

const text = z.string().catch("");
const Pod = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ nodeName: text }).default({ nodeName: "" }),
  status: z
    .object({
      phase: text,
      reason: text,
      message: text,
      conditions: z
        .array(z.object({ type: text, status: text, reason: text, message: text }))
        .default([]),
      containerStatuses: z
        .array(
          z.object({
            state: z.object({
              waiting: z.object({ reason: text, message: text }).optional(),
              terminated: z
                .object({ reason: text, exitCode: z.number(), signal: z.number().optional() })
                .optional(),
            }),
          }),
        )
        .default([]),
    })
    .default({
      phase: "",
      reason: "",
      message: "",
      conditions: [],
      containerStatuses: [],
    }),
});
const PodList = z.object({ items: z.array(Pod) });

export interface KubernetesPod extends z.infer<typeof Pod> {
  readonly tag: string;
}

/** Errors: SyntaxError, ZodError. */
export function parsePods(output: string): KubernetesPod[] {
  return PodList.parse(JSON.parse(output)).items.map((pod) => ({
    ...pod,
    tag: pod.metadata.labels["hyperpilot/submission"] ?? "",
  }));
}

/** Phase Unknown means that the node does not answer: no end. */
export function kubernetesTruth(pod: KubernetesPod): BatchTruth {
  const { phase } = pod.status;
  const name = `pod ${pod.metadata.name}`;
  switch (phase) {
    case "Pending":
      return { type: "active", phase: "queued", detail: `${name} pending${waitReason(pod)}` };
    case "Running":
      return {
        type: "active",
        phase: "running",
        detail: `${name} running on ${pod.spec.nodeName}`,
      };
    case "Succeeded":
    case "Failed":
      return { type: "ended", detail: `${name} ${phase.toLowerCase()}${endReason(pod)}` };
    default:
      return { type: "unknown", detail: `${name} has phase ${phase === "" ? "none" : phase}` };
  }
}

function waitReason({ status }: KubernetesPod): string {
  const unscheduled = status.conditions.find(
    (one) => one.type === "PodScheduled" && one.status === "False",
  );
  if (unscheduled !== undefined) return ` (${unscheduled.reason}: ${unscheduled.message})`;
  for (const { state } of status.containerStatuses) {
    const { waiting } = state;
    if (waiting !== undefined) return ` (${waiting.reason}: ${waiting.message})`;
  }
  return "";
}

function endReason({ status }: KubernetesPod): string {
  const disrupted = status.conditions.find(
    (one) => one.type === "DisruptionTarget" && one.status === "True",
  );
  const because = disrupted?.reason ?? status.reason;
  for (const { state } of status.containerStatuses) {
    const { terminated } = state;
    if (terminated === undefined) continue;
    const how =
      terminated.signal === undefined || terminated.signal === 0
        ? `exit code ${terminated.exitCode}`
        : `signal ${terminated.signal}`;
    return ` with ${how} (${because === "" ? terminated.reason : because})`;
  }
  return because === "" ? "" : ` (${because}: ${status.message})`;
}
