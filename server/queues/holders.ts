/** One harvester serves a queue: the first that came. Others stand by and take over when it stays away. */
import type { SubmissionId } from "../../protocol/ids.ts";
import { HARVESTER } from "../../protocol/limits.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { Core } from "../core.ts";
import { liveQueue, type Live, type LiveHarvester, type QueueHolder } from "../live.ts";

/** Whether the harvester serves the queue's site. */
export function serves(harvester: Pick<LiveHarvester, "sites">, queue: QueueConfig): boolean {
  return harvester.sites.length === 0 || harvester.sites.includes(queue.site);
}

/** Equal for a harvester and its restart. */
export function keyOf(harvester: Pick<LiveHarvester, "id" | "name">): string {
  return harvester.id === "" ? `name:${harvester.name}` : harvester.id;
}

/** The harvester that serves the queue now, made holder if it was not; null: there is none, or another one's time runs. */
export function holderOf(
  core: Core,
  live: Live,
  queue: QueueConfig,
  nowMs: number,
): LiveHarvester | null {
  const state = liveQueue(live, queue.name);
  const candidates = [...live.harvesters.values()].filter((one) => serves(one, queue));
  const present = candidates.find((one) => one.session === state.holder?.session);
  const next = present ?? successor(core, live, { queue, candidates, nowMs });
  state.harvester = next?.name ?? null;
  if (next !== null && next.session !== state.holder?.session) state.holder = asHolder(next);
  return next;
}

interface Succession {
  readonly queue: QueueConfig;
  readonly candidates: readonly LiveHarvester[];
  readonly nowMs: number;
}

/** The former holder back again at once, another one after a while. */
function successor(
  core: Core,
  live: Live,
  { queue, candidates, nowMs }: Succession,
): LiveHarvester | null {
  const { holder } = liveQueue(live, queue.name);
  const formerKey = holder === null ? ownerOfSubmissions(core, queue.name) : keyOf(holder);
  const former = candidates.find((one) => keyOf(one) === formerKey);
  if (former !== undefined) return former;
  const waitsSinceMs = holder === null ? live.startedMs : holder.goneMs;
  const mayComeBack = formerKey !== null && nowMs - waitsSinceMs < HARVESTER.handoverMs;
  return mayComeBack ? null : (candidates[0] ?? null);
}

/** After a start of the server: the harvester whose submissions have not ended. */
function ownerOfSubmissions(core: Core, queue: string): string | null {
  let owner: string | null = null;
  for (const submission of core.submissions.values())
    if (submission.queue === queue && submission.harvester !== "") owner = submission.harvester;
  return owner;
}

function asHolder(harvester: LiveHarvester): QueueHolder {
  const { id, instance, name, host, session } = harvester;
  return { id, instance, name, host, session, goneMs: 0 };
}

/** "lyon-1 on login3": for a harvester that stands by. */
export function holderText(holder: QueueHolder): string {
  return holder.host === "" ? holder.name : `${holder.name} on ${holder.host}`;
}

/** Pilots and submissions of the queue that the harvester does not know: they count in what is wanted of it. */
export function foreignSubmissions(
  core: Core,
  live: Live,
  queue: string,
  harvester: LiveHarvester,
): number {
  const foreign = new Set<SubmissionId>();
  for (const other of live.harvesters.values()) {
    if (other === harvester) continue;
    for (const id of other.alive.get(queue) ?? []) foreign.add(id);
  }
  for (const pilot of live.pilots.values()) {
    if (pilot.queue !== queue || pilot.session === null) continue;
    const owner = core.submissions.get(pilot.submissionId)?.harvester ?? "";
    if (owner !== "" && owner !== keyOf(harvester)) foreign.add(pilot.submissionId);
  }
  return foreign.size;
}

/** Submissions whose secrets went to this harvester, that it does not know any more and that no pilot ever used. */
export function forgottenSubmissions(core: Core, harvester: LiveHarvester): SubmissionId[] {
  if (harvester.id === "") return [];
  const forgotten: SubmissionId[] = [];
  for (const { id, harvester: owner, exchanges } of core.submissions.values()) {
    if (owner === harvester.id && exchanges === 0 && !harvester.holds.ids.has(id))
      forgotten.push(id);
  }
  return forgotten;
}
