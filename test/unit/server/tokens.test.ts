import assert from "node:assert/strict";
import { SignJWT, UnsecuredJWT } from "jose";
import { redact } from "../../../common/log.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { createLeaseTokens, taskOfLease } from "../../../server/auth/lease-tokens.ts";
import { createSessionTokens } from "../../../server/auth/session-tokens.ts";
import {
  bearerOf,
  drawBootSecret,
  drawToken,
  isSecretOf,
  submissionOfBootSecret,
  tokenRecord,
} from "../../../server/auth/tokens.ts";
import { createCore } from "../../../server/core.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { World } from "../../support/reactor-world.ts";

const KEY = new Uint8Array(32).fill(7);
const LEASE = { type: "evaluation", taskId: 10_000_000, pointId: "3" } as const;

function coreWith(drawn: ReturnType<typeof drawToken>) {
  const core = createCore();
  const role = { user: "anna", roles: ["user"] } as const;
  const record = { id: drawn.id, sha256: drawn.sha256, role, name: "t", createdAtMs: 0 };
  core.tokens.set(drawn.id, { ...record, revoked: false });
  return core;
}

describe("tokens of users", () => {
  it("are known by their hash only", () => {
    const drawn = drawToken();
    const core = coreWith(drawn);
    assert.equal(tokenRecord(core, drawn.secret)?.role.user, "anna");
    assert.ok(!JSON.stringify([...core.tokens]).includes(drawn.secret.slice(-32)));
  });

  it("are refused when wrong, unknown, cut or revoked", () => {
    const drawn = drawToken();
    const core = coreWith(drawn);
    const wrong = [
      `hp_${drawn.id}_${"A".repeat(32)}`,
      drawToken().secret,
      drawn.secret.slice(0, -1),
      `${drawn.secret}A`,
      drawn.secret.toUpperCase(),
      "hp___proto__",
      "",
    ];
    for (const token of wrong) assert.equal(tokenRecord(core, token), null, token);
    core.tokens.get(drawn.id)!.revoked = true;
    assert.equal(tokenRecord(core, drawn.secret), null);
  });

  it("have 192 random bits and never come twice", () => {
    const drawn = Array.from({ length: 1_000 }, drawToken);
    assert.equal(new Set(drawn.map(({ secret }) => secret)).size, 1_000);
    assert.ok(
      drawn.every(({ secret }) => Buffer.from(secret.slice(-32), "base64url").length === 24),
    );
  });

  it("never get through the log, nor do boot secrets and lease tokens", () => {
    const lease = createLeaseTokens(KEY).issue(LEASE, [1, 2]);
    for (const secret of [drawToken().secret, drawBootSecret().secret, lease])
      assert.equal(redact(`x ${secret} y`), "x [secret] y");
  });

  it("are read from a bearer header of one token only", () => {
    assert.equal(bearerOf("Bearer abc"), "abc");
    for (const header of [undefined, "", "Basic abc", "Bearer ", "Bearer a b", "Bearer a\nb"])
      assert.equal(bearerOf(header), null);
  });
});

describe("boot secrets", () => {
  it("name their submission and are checked against its hash", () => {
    const { id, secret, sha256 } = drawBootSecret();
    assert.equal(submissionOfBootSecret(secret), id);
    assert.ok(isSecretOf(secret, sha256));
    assert.ok(!isSecretOf(`${secret}x`, sha256));
    assert.equal(submissionOfBootSecret(drawToken().secret), null);
  });
});

describe("session tokens of pilots", () => {
  const clock = new FakeClock();
  const tokens = createSessionTokens(KEY, clock);
  const claims = { pilotId: "pilot-1", submissionId: "sub-1", queue: "local" };
  const nowSeconds = Math.floor(clock.wallMs() / 1_000);
  const forged = (alg = "HS256", typ = "pilot-session+jwt"): SignJWT =>
    new SignJWT(claims)
      .setProtectedHeader({ alg, typ })
      .setIssuer("hyperpilot-server")
      .setAudience("hyperpilot-pilot-session")
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + 60);

  it("carry their claims, also for a server that was started again with the same key", async () => {
    const token = await tokens.issue(claims);
    assert.deepEqual(await createSessionTokens(KEY, clock).verify(token), claims);
    assert.deepEqual(await tokens.verify(await forged().sign(KEY)), claims);
  });

  it("are refused under another key, algorithm, type, issuer, audience, without expiry, expired, or incomplete", async () => {
    const bad = [
      await createSessionTokens(new Uint8Array(32), clock).issue(claims),
      await forged("HS512").sign(new Uint8Array(64).fill(7)),
      await forged("HS256", "JWT").sign(KEY),
      await forged().setIssuer("other").sign(KEY),
      await forged().setAudience("other").sign(KEY),
      await forged()
        .setExpirationTime(nowSeconds - 60)
        .sign(KEY),
      await new SignJWT({ ...claims, iss: "hyperpilot-server", aud: "hyperpilot-pilot-session" })
        .setProtectedHeader({ alg: "HS256", typ: "pilot-session+jwt" })
        .sign(KEY),
      await forged()
        .sign(KEY)
        .then((token) => `${token.slice(0, -4)}AAAA`),
      await new SignJWT({ pilotId: "p" })
        .setProtectedHeader({ alg: "HS256", typ: "pilot-session+jwt" })
        .setIssuer("hyperpilot-server")
        .setAudience("hyperpilot-pilot-session")
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + 60)
        .sign(KEY),
      new UnsecuredJWT(claims)
        .setIssuer("hyperpilot-server")
        .setAudience("hyperpilot-pilot-session")
        .encode(),
      "a.b.c",
      "",
      drawToken().secret,
    ];
    for (const [index, token] of bad.entries())
      assert.equal(await tokens.verify(token), null, `token ${index}`);
  });

  it("expire", async () => {
    const token = await tokens.issue(claims);
    const later = new FakeClock(clock.wallMs() + 8 * 24 * 3_600_000);
    assert.equal(await createSessionTokens(KEY, later).verify(token), null);
  });
});

describe("tokens of leases", () => {
  const tokens = createLeaseTokens(KEY);

  it("prove item and epoch and fit into a grant", () => {
    const token = tokens.issue(LEASE, [1, 5]);
    assert.deepEqual(tokens.verify(token), { item: LEASE, epoch: [1, 5] });
    assert.ok(
      tokens.issue({ ...LEASE, taskId: Number.MAX_SAFE_INTEGER }, [2 ** 52, 2 ** 52]).length <= 512,
    );
  });

  it("are refused when changed or signed by another key", () => {
    const token = tokens.issue(LEASE, [1, 5]);
    const mac = token.slice(-43);
    const other = Buffer.from(JSON.stringify([LEASE, [1, 6]])).toString("base64url");
    assert.equal(tokens.verify(`hp_lease_${other}_${mac}`), null);
    assert.equal(createLeaseTokens(new Uint8Array(32)).verify(token), null);
    assert.equal(tokens.verify(token.slice(0, -1)), null);
    assert.equal(tokens.verify(""), null);
  });

  it("are stale once the point was granted again", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 2, nParallelEvaluation: 2 });
    const pilot = world.pilot();
    const { item, epoch } = pilot.lease();
    assert.equal(taskOfLease(world.core, item, epoch), task);
    const stale = (error: unknown): boolean =>
      error instanceof HyperpilotError && error.code === "E_STALE";
    assert.throws(() => taskOfLease(world.core, item, [epoch[0], epoch[1] + 1]), stale);
    assert.throws(() => taskOfLease(world.core, { ...item, taskId: 1 }, epoch), stale);
    assert.throws(
      () => taskOfLease(world.core, { type: "steering", taskId: task.id, run: 9 }, epoch),
      stale,
    );
  });
});
