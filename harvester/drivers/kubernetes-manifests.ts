/** What Kubernetes is asked to create for one pilot. Pure. */
import type { BatchOf } from "../../protocol/batch.ts";
import type { SubmitRequest } from "../driver.ts";
import { pilotScript } from "../pilot-script.ts";
import { pilotSize } from "../../protocol/pilot-size.ts";

export const APP_LABEL = "hyperpilot-pilot";
export const TAG_LABEL = "hyperpilot/submission";

const BOOT_DIRECTORY = "/run/hyperpilot";
const SCRATCH_DIRECTORY = "/scratch";
/** How long an ended job stays visible. */
const TTL_SECONDS = 3_600;

/** A name as Kubernetes takes it: lower case, digits and dashes. */
export function resourceName(submissionId: string): string {
  return `hyperpilot-${submissionId.toLowerCase().replaceAll("_", "-")}`;
}

export function jobManifest(batch: BatchOf<"kubernetes">, request: SubmitRequest): object {
  const { submissionId, queue } = request;
  const name = resourceName(submissionId);
  const labels = { app: APP_LABEL, [TAG_LABEL]: name };
  const { walltimeSeconds } = pilotSize(queue);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, labels },
    spec: {
      backoffLimit: 0,
      ttlSecondsAfterFinished: TTL_SECONDS,
      ...(walltimeSeconds === null ? {} : { activeDeadlineSeconds: walltimeSeconds }),
      template: { metadata: { labels }, spec: podSpec(batch, request, name) },
    },
  };
}

function podSpec(batch: BatchOf<"kubernetes">, request: SubmitRequest, secretName: string): object {
  const { submissionId, queue } = request;
  const size = pilotSize(queue);
  const resources = {
    cpu: String(size.cpus),
    memory: `${size.memoryMiB}Mi`,
    ...(size.gpus > 0 ? { [batch.gpuResource]: String(size.gpus) } : {}),
  };
  // A mounted secret belongs to root and can be read by its group; the pilot takes only a private file.
  const boot = `${SCRATCH_DIRECTORY}/boot.json`;
  const script = pilotScript({
    submissionId,
    queue,
    launch: ["/bin/sh", `${batch.pilotDirectory}/start.sh`, boot],
    before: [
      "umask 077",
      `cp ${BOOT_DIRECTORY}/boot.json ${boot}`,
      `HYPERPILOT_SCRATCH=${SCRATCH_DIRECTORY}; export HYPERPILOT_SCRATCH`,
    ],
  });
  const hostVolumes = batch.hostPaths.map((path, index) => ({ path, name: `host-${index}` }));
  return {
    restartPolicy: "Never",
    automountServiceAccountToken: false,
    ...(batch.serviceAccount === null ? {} : { serviceAccountName: batch.serviceAccount }),
    terminationGracePeriodSeconds: Math.max(30, queue.pilot.noticeSeconds),
    nodeSelector: batch.nodeSelector,
    containers: [
      {
        name: "pilot",
        image: batch.image,
        // The pilot takes the shell's place and is process 1, the only one that is told of the end.
        command: ["/bin/sh", "-c", script],
        resources: { requests: resources, limits: resources },
        volumeMounts: [
          { name: "boot", mountPath: BOOT_DIRECTORY, readOnly: true },
          { name: "scratch", mountPath: SCRATCH_DIRECTORY },
          ...hostVolumes.map(({ name, path }) => ({ name, mountPath: path, readOnly: true })),
        ],
      },
    ],
    volumes: [
      { name: "boot", secret: { secretName, defaultMode: 0o400 } },
      { name: "scratch", emptyDir: {} },
      ...hostVolumes.map(({ name, path }) => ({ name, hostPath: { path } })),
    ],
  };
}

/** The boot file, gone when its job is. */
export function secretManifest(submissionId: string, bootFile: Buffer, jobUid: string): object {
  const name = resourceName(submissionId);
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: {
      name,
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid: jobUid }],
    },
    data: { "boot.json": bootFile.toString("base64") },
  };
}
