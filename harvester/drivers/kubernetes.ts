/** Kubernetes: one Job per pilot, through kubectl. The boot file travels as a Secret on standard input and is mounted as a file. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { BatchOf } from "../../protocol/batch.ts";
import { Absences, allFailed } from "../absence.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { BatchDriver, BatchTruth, SubmitRequest } from "../driver.ts";
import { wordsOf } from "../words.ts";
import {
  APP_LABEL,
  TAG_LABEL,
  jobManifest,
  resourceName,
  secretManifest,
} from "./kubernetes-manifests.ts";
import { kubernetesTruth, parsePods } from "./kubernetes-states.ts";

export interface KubernetesOptions {
  readonly batch: BatchOf<"kubernetes">;
  readonly command: BatchCommand;
}

/** Variables by which kubectl finds its cluster. */
export const KUBERNETES_VARIABLES = ["KUBECONFIG", "KUBERNETES_", "HTTPS_PROXY", "NO_PROXY"];

const Created = z.object({ metadata: z.object({ name: z.string(), uid: z.string() }) });

export function createKubernetesDriver({ batch, command }: KubernetesOptions): BatchDriver {
  const absences = new Absences();
  const target = [
    ...(batch.context === null ? [] : ["--context", batch.context]),
    ...(batch.namespace === null ? [] : ["--namespace", batch.namespace]),
  ];
  const create = (manifest: object): Promise<string> =>
    command(["kubectl", ...target, "create", "-f", "-", "-o", "json", ...batch.submitArguments], {
      input: JSON.stringify(manifest),
    });

  async function submit(request: SubmitRequest): Promise<{ readonly batchId: string }> {
    const { metadata } = Created.parse(JSON.parse(await create(jobManifest(batch, request))));
    try {
      // Owned by the job, so that it goes with it; the pod waits until it is there.
      await create(
        secretManifest(request.submissionId, readFileSync(request.bootFile), metadata.uid),
      );
    } catch (error) {
      await remove(request.submissionId);
      throw error;
    }
    return { batchId: metadata.name };
  }

  async function remove(submissionId: string): Promise<void> {
    const words = [
      "delete",
      "job",
      resourceName(submissionId),
      "--ignore-not-found",
      "--wait=false",
    ];
    await command(["kubectl", ...target, ...words, "--cascade=background"]);
  }

  return {
    submit,
    remove,
    async statusOf(ids) {
      if (ids.length === 0) return new Map();
      try {
        const selector = `app=${APP_LABEL},${TAG_LABEL} in (${ids.map(resourceName).join(",")})`;
        const text = await command([
          "kubectl",
          ...target,
          "get",
          "pods",
          "-l",
          selector,
          "-o",
          "json",
        ]);
        const idOfName = new Map(ids.map((id) => [resourceName(id), id]));
        const found = new Map<string, BatchTruth>();
        for (const pod of parsePods(text)) {
          const id = idOfName.get(pod.tag);
          if (id !== undefined && found.get(id)?.type !== "active")
            found.set(id, kubernetesTruth(pod));
        }
        return absences.judge(ids, found, "Kubernetes");
      } catch (error) {
        return allFailed(ids, wordsOf(error));
      }
    },
    async fetchOutput(submissionId, directory) {
      const words = ["logs", `job/${resourceName(submissionId)}`, "--tail=1000"];
      const text = await command(["kubectl", ...target, ...words]);
      writeFileSync(join(directory, "pilot.log"), text, { mode: 0o600 });
    },
    // A pod that was evicted is not started again: the planner submits a new pilot.
    capabilities: () => ({ restartsJobs: false, statusChunk: 100 }),
  };
}
