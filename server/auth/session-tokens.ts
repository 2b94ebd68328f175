/** Session tokens of pilots: JWT, HS256 under the server's key file, so that they are good after a restart. */
import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { SERVER } from "../../protocol/limits.ts";
import type { PilotId, QueueName, SubmissionId } from "../../protocol/ids.ts";
import type { Clock } from "../../common/clock.ts";

const ALGORITHM = "HS256";
const TYPE = "pilot-session+jwt";
const ISSUER = "hyperpilot-server";
const AUDIENCE = "hyperpilot-pilot-session";

const Claims = z.object({
  pilotId: z.string().min(1).max(64),
  submissionId: z.string().min(1).max(64),
  queue: z.string().min(1).max(63),
});

export interface PilotClaims {
  readonly pilotId: PilotId;
  readonly submissionId: SubmissionId;
  readonly queue: QueueName;
}

export interface SessionTokens {
  issue(claims: PilotClaims): Promise<string>;
  /** The claims of a valid token, or null: wrong signature, algorithm, type, issuer, audience or form, or expired. */
  verify(token: string): Promise<PilotClaims | null>;
}

/** `serverKey`: at least 32 bytes. */
export function createSessionTokens(serverKey: Uint8Array, clock: Clock): SessionTokens {
  return {
    issue: (claims) => {
      const nowSeconds = Math.floor(clock.wallMs() / 1_000);
      return new SignJWT({ ...claims })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + SERVER.sessionTokenSeconds)
        .sign(serverKey);
    },
    verify: async (token) => {
      try {
        const { payload } = await jwtVerify(token, serverKey, {
          algorithms: [ALGORITHM],
          typ: TYPE,
          issuer: ISSUER,
          audience: AUDIENCE,
          requiredClaims: ["exp", "iat"],
          currentDate: new Date(clock.wallMs()),
        });
        return Claims.safeParse(payload).data ?? null;
      } catch (error) {
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    },
  };
}
