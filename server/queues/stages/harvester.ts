/** Whether a harvester serves a queue. */
import { didYouMean } from "../../../protocol/did-you-mean.ts";
import { HARVESTER } from "../../../protocol/limits.ts";
import type { TokenRecord } from "../../core.ts";
import { foundCause, type FoundCause } from "../causes/cause.ts";
import { serves } from "../holders.ts";
import { ageText, okStage, stopStage, type Look, type Stage } from "./stage.ts";

export function harvesterStage(look: Look): Stage {
  const { live, state, nowMs } = look;
  const session = state.holder?.session ?? null;
  const harvester = session === null ? undefined : live.harvesters.get(session);
  if (harvester !== undefined) {
    const { name, host, version, connectedMs } = harvester;
    const where = host === "" ? "" : ` on ${host}`;
    const which = version === "" ? "" : `, version ${version}`;
    const since = ageText(nowMs - connectedMs);
    return okStage("harvester", `${name}${where}${which}, connected for ${since}`);
  }
  const { sentence, cause } = absence(look);
  return stopStage("harvester", { sentence, cause });
}

interface Absence {
  readonly sentence: string;
  readonly cause: FoundCause;
}

function absence(look: Look): Absence {
  const { live, queue, nowMs } = look;
  const connected = [...live.harvesters.values()];
  if (connected.some((one) => serves(one, queue))) return handover(look);
  const gone = live.goneHarvesters.findLast((one) => serves(one, queue));
  const revoked = revokedToken(look, gone?.token?.id ?? null);
  if (revoked !== null) return tokenRevoked(look, revoked);
  if (gone !== undefined) {
    const sentence = `${gone.name} on ${gone.host} was lost ${ageText(nowMs - gone.goneMs)} ago`;
    return { sentence, cause: notRunning(look) };
  }
  if (connected.length > 0) return otherSites(look);
  return { sentence: "none has connected since the server started", cause: notRunning(look) };
}

function handover({ queue, state, nowMs }: Look): Absence {
  if (state.holder === null) {
    const entry = {
      code: "harvesterHandover",
      waits: true as const,
      means: "A connected harvester is about to take the queue over.",
      remedy: "Wait some seconds; a minute when the server has just started.",
    };
    return { sentence: "one takes it over now", cause: foundCause(entry, queue) };
  }
  const { name, goneMs } = state.holder;
  const leftMs = Math.max(0, HARVESTER.handoverMs - (nowMs - goneMs));
  const entry = {
    code: "harvesterHandover",
    waits: true as const,
    means: "The harvester that served the queue is gone; another one takes over.",
    remedy: "Wait a minute. hyperpilot site harvester shows who serves what.",
  };
  const sentence = `${name} is awaited for ${ageText(leftMs)} more`;
  return { sentence, cause: foundCause(entry, queue) };
}

/** The revoked token of the harvester that was here last; without one, that of the only harvesters that could come. */
function revokedToken({ core }: Look, lastTokenId: string | null): TokenRecord | null {
  const last = lastTokenId === null ? undefined : core.tokens.get(lastTokenId);
  if (last !== undefined) return last.revoked ? last : null;
  const all = [...core.tokens.values()].filter(({ role }) => role.roles.includes("harvester"));
  return all.every(({ revoked }) => revoked) ? (all.at(-1) ?? null) : null;
}

function tokenRevoked({ queue }: Look, token: TokenRecord): Absence {
  const entry = {
    code: "harvesterTokenRevoked",
    means: `The token of the harvester (${token.name}, ${token.id}) was revoked, so the server does not let it in.`,
    remedy: `hyperpilot admin tokens issue ${token.name} --user ${token.role.user} --role harvester, put it into the harvester's token file, start the harvester`,
  };
  return { sentence: `its token ${token.id} was revoked`, cause: foundCause(entry, queue) };
}

function notRunning({ queue }: Look): FoundCause {
  return foundCause(
    {
      code: "harvesterNotRunning",
      means: `No harvester serves site '${queue.site}', so nobody submits pilots.`,
      remedy: `Start it at the site: hyperpilot harvester --server URL --tokenFile FILE --directory DIR --site ${queue.site}; if it runs, its log says why it cannot connect.`,
    },
    queue,
  );
}

function otherSites({ live, queue }: Look): Absence {
  const sites = [...new Set([...live.harvesters.values()].flatMap((one) => one.sites))];
  const near = didYouMean(queue.site, sites);
  const set = `hyperpilot site queue set ${queue.name} site=${near ?? sites[0] ?? "SITE"}`;
  const entry = {
    code: "siteNotServed",
    means: `The queue belongs to site '${queue.site}', and the connected harvesters serve others: ${sites.join(", ")}.`,
    remedy: `${near === null ? "If" : `Did you mean '${near}'? If`} the queue has the wrong site: ${set}; else start a harvester with --site ${queue.site}`,
  };
  return { sentence: `none serves site '${queue.site}'`, cause: foundCause(entry, queue) };
}
