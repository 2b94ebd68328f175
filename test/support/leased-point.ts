/** A pilot without a process: holds a lease on the first point of a search on a small server. */
import { createHash } from "node:crypto";
import { QueueConfig } from "../../protocol/queue.ts";
import type { BlobRef, FromPilotOf } from "../../protocol/pilot-messages.ts";
import type { LeaseFileKind } from "../../protocol/routes.ts";
import type { TaskSpecificationInput } from "../../protocol/task.ts";
import { SERVER_PRINCIPAL } from "../../server/gateway/boot-secrets.ts";
import type { Point } from "../../server/core.ts";
import { specification } from "./reactor-world.ts";
import type { SmallServer } from "./small-server.ts";
import { waitUntil } from "./wait-until.ts";

export interface LeasedPoint {
  readonly taskId: number;
  readonly point: Point;
  /** Bearer token of the present lease. */
  token(): string;
  put(
    kind: LeaseFileKind,
    bytes: Uint8Array,
    token?: string,
  ): Promise<{ status: number; body: unknown }>;
  /** Uploads a checkpoint and says so. */
  checkpoint(bytes: Uint8Array): Promise<BlobRef>;
  result(change: Partial<FromPilotOf<"result">>): Promise<void>;
}

export const blobOf = (bytes: Uint8Array): BlobRef => ({
  sha256: createHash("sha256").update(bytes).digest("hex"),
  sizeBytes: bytes.length,
});

const SLOT = { cpus: 1, memoryBytes: 4e9, gpus: [] };

export async function leasePoint(
  server: SmallServer,
  userToken: string,
  change: Partial<TaskSpecificationInput> = {},
): Promise<LeasedPoint> {
  const { engine, core } = server;
  const config = QueueConfig.parse({ name: "local" });
  await engine.execute<"putQueue">(SERVER_PRINCIPAL, { type: "putQueue", config });
  const spec = specification(
    {
      evaluation: { container: "host:", exec: "true", metadata: "meta.json", metrics: "m.tgz" },
      checkpoint: { save: ["state"] },
      ...change,
    },
    { maxPoints: 1, maxEvaluationJobs: 20 },
  );
  const submitted = await server.call(userToken, "POST", "/tasks", { spec });
  const { taskId } = submitted.body as { taskId: number };
  const point = await waitUntil("a point", () => core.tasks.get(taskId)?.points.get("0"));
  const submissionId = `sub-${taskId}`;
  const pilotId = `pilot-${taskId}`;
  const sha256 = blobOf(Buffer.from(submissionId)).sha256;
  const secrets = [{ submissionId, sha256 }];
  await engine.execute<"addBootSecrets">(SERVER_PRINCIPAL, {
    type: "addBootSecrets",
    queue: "local",
    secrets,
  });
  await engine.execute<"exchangeBootSecret">(SERVER_PRINCIPAL, {
    type: "exchangeBootSecret",
    sha256,
    instance: "instance-1",
    newPilotId: pilotId,
  });
  const post = (message: Parameters<typeof engine.post>[0] & { type: "pilot" }): void =>
    engine.post(message);
  const from = { type: "pilot", session: pilotId, pilotId, submissionId } as const;
  const capacity = {
    node: "node1",
    cpus: 1,
    memoryBytes: 4e9,
    scratchBytes: 1e9,
    gpus: [],
    runtimes: ["bubblewrap"],
    walltimeLeftSeconds: null,
    sources: {},
  };
  const protocol = { min: 1, max: 1 };
  const hello = { type: "hello", protocol, instance: "instance-1", capacity } as const;
  post({ ...from, message: { ...hello, slots: [SLOT], leases: [] } });
  let requestNo = 1;
  post({ ...from, message: { type: "request", slot: 0, requestNo, want: 1 } });
  await waitUntil("the point is leased", () => point.state === "leased");
  const item = { type: "evaluation", taskId, pointId: "0" } as const;
  let seq = 0;
  const token = (): string => server.leaseTokens.issue(item, point.epoch);
  const put: LeasedPoint["put"] = (kind, bytes, lease = token()) =>
    server.call(lease, "PUT", `/leases/files/${kind}/${blobOf(bytes).sha256}`, bytes);
  return {
    taskId,
    point,
    token,
    put,
    checkpoint: async (bytes) => {
      const blob = blobOf(bytes);
      const { status, body } = await put("checkpoint", bytes);
      if (status !== 200) throw new Error(JSON.stringify(body));
      seq += 1;
      post({ ...from, message: { type: "checkpoint", item, epoch: point.epoch, seq, ...blob } });
      await waitUntil("it is stored", () => point.files?.checkpoints[0]?.sha256 === blob.sha256);
      return blob;
    },
    result: async (rest) => {
      const { epoch } = point;
      seq += 1;
      requestNo += 1;
      post({
        ...from,
        message: {
          type: "result",
          item,
          epoch,
          seq,
          outcome: { type: "loss", loss: 1, exitCode: 0, message: "" },
          durationSeconds: 1,
          log: "",
          next: { slot: 0, requestNo, want: 1 },
          ...rest,
        },
      });
      await waitUntil("the lease has ended", () => point.lease === null || point.epoch !== epoch);
      seq = 0;
    },
  };
}
