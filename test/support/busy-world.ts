/** A reactor in the middle of many things: searches in every state, leases, a drained node, an open container run, tokens. */
import { QueueConfig } from "../../protocol/queue.ts";
import { World } from "./reactor-world.ts";

export function busyWorld({ points = 12 }: { readonly points?: number } = {}): World {
  const world = new World();
  world.command({
    type: "putQueue",
    config: QueueConfig.parse({ name: "central", role: "central" }),
  });
  world.command({
    type: "issueToken",
    id: "token-1",
    sha256: "a".repeat(64),
    role: { user: "bert", roles: ["user"] },
    name: "bert's",
  });
  world.command({ type: "revokeToken", id: "token-1" });
  const limits = { maxPoints: points, nParallelEvaluation: 3, nPointsPerIteration: points };
  const first = world.submit({ failFast: false }, limits);
  const second = world.submit({ direction: "max" }, { maxPoints: 4 }, "bert");
  const pilot = world.pilot({ slots: 3, node: "n1" });
  pilot.loss(0.5, 0);
  pilot.fail(1);
  pilot.timeOut(2);
  pilot.interrupt(0, "eviction");
  pilot.loss(0.25, 1);
  pilot.interrupt(2, "runtime");
  world.pilot({ slots: 2, node: "n2" });
  const steered = world.submit(
    { steering: { container: "host:", exec: "propose" } },
    { maxPoints: 4, nPointsPerIteration: 2 },
  );
  world.pilot({ queue: "central", node: "c1" });
  const segments = [{ name: "a" }, { name: "b" }, { name: "c" }];
  world.submit({ segments }, { maxPoints: 3, nParallelEvaluation: 2 }, "carl");
  const killed = world.submit({}, { maxPoints: 3 });
  world.command({ type: "controlTask", taskId: killed.id, action: "kill" });
  world.command({ type: "controlTask", taskId: second.id, action: "pause" });
  const done = [...first.points.values()].find((point) => point.state === "done");
  if (done !== undefined)
    world.command({ type: "retryPoints", taskId: first.id, pointIds: [done.id] });
  if (steered.run === null) throw new Error("no run is open");
  return world;
}
