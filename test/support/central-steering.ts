/** A world whose central queue has a pilot that answers runs of container steering. */
import type { FromPilotOf } from "../../protocol/pilot-messages.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { World, type TestPilot } from "./reactor-world.ts";

export const STEERING = { container: "host:", exec: "generate %IN %OUT" };

export function worldWithCentral(): { world: World; central: TestPilot } {
  const world = new World();
  const config = QueueConfig.parse({ name: "central", role: "central", leaseSeconds: 60 });
  world.command({ type: "putQueue", config });
  return { world, central: world.pilot({ queue: "central", node: "c1" }) };
}

/** Answers the run that the central pilot holds, and asks for the next. */
export function answerRun(
  pilot: TestPilot,
  points: string | null,
  change: Partial<FromPilotOf<"runAnswer">> = {},
): void {
  const { item, epoch } = pilot.lease();
  pilot.held.length = 0;
  const message = "it broke";
  pilot.send({ type: "runAnswer", item, epoch, seq: 1, points, message, log: "", ...change });
  pilot.request(0);
}
