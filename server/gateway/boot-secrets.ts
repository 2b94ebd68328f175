/** Boot secrets: drawn for a harvester's new submissions, exchanged by pilots for session tokens. */
import { randomBytes } from "node:crypto";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { HARVESTER } from "../../protocol/limits.ts";
import type { ToHarvester } from "../../protocol/harvester-messages.ts";
import type { PilotSessionAnswer } from "../../protocol/pilot-messages.ts";
import type { Logger } from "../../common/log.ts";
import type { SessionTokens } from "../auth/session-tokens.ts";
import {
  drawBootSecret,
  isSecretOf,
  sha256Hex,
  submissionOfBootSecret,
  type DrawnSecret,
} from "../auth/tokens.ts";
import type { Core } from "../core.ts";
import type { Engine, Peers } from "../engine.ts";
import type { Principal } from "../inbox.ts";
import type { SessionId } from "../live.ts";
import type { Sessions } from "./sessions.ts";

/** How long the connection of a former instance has to answer before its place is given away. */
export const FORMER_INSTANCE_PING_MS = 5_000;

/** The server itself as author of changes. */
export const SERVER_PRINCIPAL: Principal = { user: "server", roles: ["admin"] };

export interface IssuerDeps {
  readonly engine: () => Pick<Engine, "execute">;
  readonly peers: Pick<Peers, "toHarvester">;
  readonly log: Logger;
  /** Source of secrets; the machine's randomness when it is not given. */
  readonly draw?: () => DrawnSecret;
}

export type BootSecretIssuer = (wish: {
  readonly session: SessionId;
  readonly queue: string;
  /** Id of the harvester behind the session. */
  readonly harvester: string;
  readonly count: number;
}) => void;

/**
 * Draws `count` secrets, journals their hashes, then sends them to the harvester. Nothing is left of a secret whose
 * sending failed but its hash: the harvester asks again.
 */
export function createBootSecretIssuer(deps: IssuerDeps): BootSecretIssuer {
  return ({ session, queue, harvester, count }) => {
    const { draw = drawBootSecret } = deps;
    const length = Math.min(count, HARVESTER.submissionsPerReportMax);
    const drawn = Array.from({ length }, () => draw());
    const secrets = drawn.map(({ id, sha256 }) => ({ submissionId: id, sha256 }));
    const command = { type: "addBootSecrets", queue, harvester, secrets } as const;
    deps
      .engine()
      .execute<"addBootSecrets">(SERVER_PRINCIPAL, command)
      .then(
        () => deps.peers.toHarvester(session, [bootSecrets(queue, drawn)]),
        (error: unknown) =>
          deps.log.error("bootSecretsNotIssued", { queue, count, error: errorText(error) }),
      );
  };
}

function bootSecrets(queue: string, drawn: readonly DrawnSecret[]): ToHarvester {
  const secrets = drawn.map(({ id, secret }) => ({ submissionId: id, secret }));
  return { type: "bootSecrets", queue, secrets };
}

export interface ExchangeDeps {
  readonly engine: Pick<Engine, "execute" | "read">;
  readonly sessions: Pick<Sessions, "isAlive" | "cut">;
  readonly sessionTokens: Pick<SessionTokens, "issue">;
  readonly log: Logger;
  /** Source of ids for new pilots; the machine's randomness when it is not given. */
  readonly newPilotId?: () => string;
}

/**
 * Exchanges a boot secret for a session token. While another instance of the submission answers, E_CONFLICT: two pilots
 * under one submission mean that its secret was copied. Errors also: E_UNAUTHENTICATED, E_LIMIT.
 */
export async function exchangeBootSecret(
  deps: ExchangeDeps,
  secret: string,
  instance: string,
): Promise<PilotSessionAnswer> {
  const former = await deps.engine.read((core) => formerPilot(core, secret, instance));
  if (former !== null) await endFormer(deps, former);
  const value = await deps.engine.execute<"exchangeBootSecret">(SERVER_PRINCIPAL, {
    type: "exchangeBootSecret",
    sha256: sha256Hex(secret),
    instance,
    newPilotId: deps.newPilotId?.() ?? `pilot-${randomBytes(6).toString("hex")}`,
  });
  const { pilotId, submissionId, queue, leaseSeconds } = value;
  const token = await deps.sessionTokens.issue({ pilotId, submissionId, queue });
  return { pilotId, token, queue, leaseSeconds };
}

interface Former {
  readonly submissionId: string;
  readonly pilotId: string;
}

/** The pilot of another instance under this secret's submission. Errors: E_UNAUTHENTICATED. */
function formerPilot(core: Core, secret: string, instance: string): Former | null {
  const submissionId = submissionOfBootSecret(secret);
  const submission = submissionId === null ? undefined : core.submissions.get(submissionId);
  if (submission === undefined || !isSecretOf(secret, submission.sha256)) {
    throw new HyperpilotError({
      code: "E_UNAUTHENTICATED",
      message: "This boot secret is not valid.",
      why: "It is malformed, or its submission has ended.",
      remedy: "Nothing to do: the harvester submits new pilots where there is demand.",
    });
  }
  const { pilotId } = submission;
  if (pilotId === null || submission.instance === instance) return null;
  return { submissionId: submission.id, pilotId };
}

async function endFormer(deps: ExchangeDeps, former: Former): Promise<void> {
  if (await deps.sessions.isAlive(former.pilotId, FORMER_INSTANCE_PING_MS)) {
    deps.log.warn("audit", { what: "bootSecretUsedTwice", ...former });
    throw new HyperpilotError({
      code: "E_CONFLICT",
      message: `Another pilot of submission ${former.submissionId} is alive.`,
      why: "A boot secret starts one pilot at a time.",
      remedy: "End this pilot; if the batch system runs the job twice, remove one of them.",
    });
  }
  deps.sessions.cut(former.pilotId);
}
