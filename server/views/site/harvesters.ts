/** Harvesters as REST shows them to operators. Pure. */
import type { HarvesterView } from "../../../protocol/site.ts";
import type { Core } from "../../core.ts";
import { liveQueue, type Live, type LiveHarvester, type PeerToken } from "../../live.ts";
import { holderText, serves } from "../../queues/holders.ts";

/** Connected ones first, then those whose connection was lost, the last first. */
export function harvesterViews(core: Core, live: Live, nowMs: number): HarvesterView[] {
  const connected = [...live.harvesters.values()].map((one) =>
    connectedView(core, live, one, nowMs),
  );
  const isBack = (name: string, host: string): boolean =>
    connected.some((one) => one.name === name && one.host === host);
  const gone = live.goneHarvesters
    .filter(({ name, host }) => !isBack(name, host))
    .reverse()
    .filter(
      (one, index, all) =>
        all.findIndex(({ name, host }) => name === one.name && host === one.host) === index,
    )
    .map(({ name, host, sites, token, goneMs }) => ({
      name,
      host,
      version: "",
      sites: [...sites],
      connected: false,
      sinceSeconds: Math.max(0, nowMs - goneMs) / 1_000,
      silentSeconds: null,
      ...tokenView(core, token),
      serves: [],
      standsBy: [],
      submissions: 0,
    }));
  return [...connected, ...gone];
}

function connectedView(
  core: Core,
  live: Live,
  harvester: LiveHarvester,
  nowMs: number,
): HarvesterView {
  const { name, host, version, sites, token, connectedMs, heardMs, alive, session } = harvester;
  const own: string[] = [];
  const standsBy: { queue: string; servedBy: string }[] = [];
  for (const queue of core.queues.values()) {
    if (!serves(harvester, queue)) continue;
    const { holder } = liveQueue(live, queue.name);
    if (holder?.session === session) own.push(queue.name);
    else
      standsBy.push({
        queue: queue.name,
        servedBy: holder === null ? "nobody yet" : holderText(holder),
      });
  }
  return {
    name,
    host,
    version,
    sites: [...sites],
    connected: true,
    sinceSeconds: Math.max(0, nowMs - connectedMs) / 1_000,
    silentSeconds: Math.max(0, nowMs - heardMs) / 1_000,
    ...tokenView(core, token),
    serves: own.sort(),
    standsBy,
    submissions: [...alive.values()].reduce((sum, ids) => sum + ids.size, 0),
  };
}

function tokenView(
  core: Core,
  token: PeerToken | null,
): Pick<HarvesterView, "user" | "tokenRevoked"> {
  return {
    user: token?.user ?? "",
    tokenRevoked: token !== null && core.tokens.get(token.id)?.revoked === true,
  };
}
