/** How long a slot stands idle between two points of a job: real server, real pilot, real sandbox, on loopback. */
import { percentile, startServerUnderTest } from "./server-under-test.ts";

const POINTS = 100;

/** Writes when it began and ended, in nanoseconds since 1970. */
const EXEC = `began=$(date +%s%N); printf '{"loss": 0, "message": "%s %s"}' $began $(date +%s%N) > output.json`;

export async function idleGap(): Promise<Record<string, unknown>> {
  const server = await startServerUnderTest({ withPilots: true });
  try {
    const evaluation = {
      container: "host:",
      exec: EXEC,
      input: "input.json",
      output: "output.json",
      timeoutSeconds: null,
    };
    const limits = { maxPoints: POINTS, nParallelEvaluation: 1 };
    const taskId = await server.deployment.submit({ evaluation }, limits);
    await server.deployment.untilEnded(taskId, 120_000);
    const spans: { began: number; ended: number }[] = [];
    for (let point = 0; point < POINTS; point += 1) {
      const { history } = await server.deployment.request<{
        history: { outcome: { message: string } }[];
      }>("GET", `/tasks/${taskId}/points/${point}`);
      const [began, ended] = (history[0]?.outcome.message ?? "")
        .split(" ")
        .map((text) => Number(text) / 1e6);
      if (began !== undefined && ended !== undefined) spans.push({ began, ended });
    }
    spans.sort((a, b) => a.began - b.began);
    const gaps = spans
      .slice(1)
      .map((span, index) => span.began - (spans[index]?.ended ?? span.began));
    const { items } = await server.deployment.request<{
      items: { capacity: { runtimes: string[] } }[];
    }>("GET", "/pilots");
    return {
      points: POINTS,
      runtime: items[0]?.capacity.runtimes[0] ?? "unknown",
      idleGapMsMedian: Math.round(percentile(gaps, 0.5) * 10) / 10,
      idleGapMsP99: Math.round(percentile(gaps, 0.99) * 10) / 10,
    };
  } finally {
    await server.remove();
  }
}
