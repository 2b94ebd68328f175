import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { PointDetail, WhyAnswer } from "../../protocol/rest.ts";
import type { FromPilotOf } from "../../protocol/pilot-messages.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import { type LeasedPoint, blobOf, leasePoint } from "../support/leased-point.ts";
import { startSmallServer, type SmallServer } from "../support/small-server.ts";
import { waitUntil } from "../support/wait-until.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("files of evaluations on the server", () => {
  let server: SmallServer;
  let anna: string;
  let bert: string;
  let leased: LeasedPoint;

  beforeEach(async () => {
    server = await startSmallServer();
    anna = await server.token(["user"], "anna");
    bert = await server.token(["user"], "bert");
    leased = await leasePoint(server, anna);
  });
  afterEach(() => server.close());

  const codeOf = (body: unknown): string => (body as { error: { code: string } }).error.code;

  const file = (kind: string, token = anna) =>
    server.call(token, "GET", `/tasks/${leased.taskId}/points/0/files/${kind}`);

  const detail = async (): Promise<PointDetail> =>
    PointDetail.parse((await server.call(anna, "GET", `/tasks/${leased.taskId}/points/0`)).body);

  it("come under the lease's token, are committed by the result, and are shown to the owner only", async () => {
    const metadata = bytes('{"epochs": 3}');
    const metrics = bytes("a tarball");
    assert.equal((await leased.put("metadata", metadata)).status, 200);
    assert.equal((await leased.put("metrics", metrics)).status, 200);
    assert.equal((await file("metadata")).status, 404, "not before the result says so");
    await leased.result({ metadata: blobOf(metadata), metrics: blobOf(metrics) });
    const answer = await file("metadata");
    assert.deepEqual([answer.status, answer.body], [200, '{"epochs": 3}']);
    assert.match(answer.headers.get("content-disposition") ?? "", /^attachment/);
    assert.equal(answer.headers.get("content-type"), "application/octet-stream");
    assert.equal((await file("metrics")).body, "a tarball");
    assert.deepEqual(
      [(await file("metrics", bert)).status, (await file("logs")).status],
      [404, 400],
    );
    const point = await detail();
    assert.deepEqual([point.metadata, point.metrics], [blobOf(metadata), blobOf(metrics)]);
  });

  it("are refused without the lease, for another kind than the task keeps, and when the lease is over", async () => {
    const { status } = await leased.put("metadata", bytes("{}"), anna);
    assert.equal(status, 401);
    const plain = await leasePoint(server, anna, {
      checkpoint: {},
      evaluation: { container: "host:", exec: "true" },
    });
    for (const kind of ["metadata", "metrics", "checkpoint"] as const)
      assert.equal(codeOf((await plain.put(kind, bytes("x"))).body), "E_FORBIDDEN");
    const old = leased.token();
    await leased.result({ outcome: { type: "timeout", afterSeconds: 1, message: "" } });
    await waitUntil("it is granted again", () => leased.token() !== old);
    assert.equal(codeOf((await leased.put("metadata", bytes("{}"), old)).body), "E_STALE");
  });

  it("are refused above their bounds, before a byte is read, and with another checksum or length", async () => {
    const most = Buffer.alloc(TASK.metadataBytesMax, 0x20);
    assert.equal((await leased.put("metadata", most)).status, 200);
    const more = await leased.put("metadata", Buffer.alloc(TASK.metadataBytesMax + 1));
    assert.deepEqual([more.status, codeOf(more.body)], [413, "E_TOO_LARGE"]);
    const path = `/leases/files/metrics/${"0".repeat(64)}`;
    const wrong = await server.call(leased.token(), "PUT", path, bytes("something"));
    assert.equal(codeOf(wrong.body), "E_CHECKSUM");
    assert.deepEqual(await server.blobs.list("", 10), [blobOf(most).sha256]);
  });

  it("are answered 507 when the disk is full, and 429 when too many come at a time", async () => {
    const put = server.blobs.put.bind(server.blobs);
    const full = { code: "E_STORAGE_FULL", message: "full", remedy: "later" } as const;
    server.blobs.put = () => Promise.reject(new HyperpilotError(full));
    assert.equal((await leased.put("metrics", bytes("x"))).status, 507);
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    server.blobs.put = async (...args) => {
      await gate;
      return put(...args);
    };
    const all = Array.from({ length: SERVER.leaseFileUploadsMax + 1 }, (_none, index) =>
      leased.put("metrics", bytes(`metrics ${index}`)),
    );
    assert.equal((await Promise.race(all)).status, 429);
    release();
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 200).length, SERVER.leaseFileUploadsMax);
  });

  describe("checkpoints", () => {
    const get = (sha256: string) =>
      server.call(leased.token(), "GET", `/leases/checkpoints/${sha256}`);

    it("are given to a lease on their point only", async () => {
      const { sha256 } = await leased.checkpoint(bytes("state"));
      assert.equal((await get(sha256)).body, "state");
      const other = await leasePoint(server, anna);
      const answer = await server.call(other.token(), "GET", `/leases/checkpoints/${sha256}`);
      assert.equal(answer.status, 404);
    });

    it("that are damaged on the disk are found before they are sent, dropped, and told of", async () => {
      const older = await leased.checkpoint(bytes("older state"));
      const newer = await leased.checkpoint(bytes("newer state"));
      const original = server.blobs.get.bind(server.blobs);
      server.blobs.get = async (sha256, start) => {
        const found = await original(sha256, start);
        if (sha256 !== newer.sha256 || found === null) return found;
        return { ...found, stream: Readable.from([bytes("newer stale")], { objectMode: false }) };
      };
      const answer = await get(newer.sha256);
      assert.equal(codeOf(answer.body), "E_CHECKSUM");
      assert.equal((await get(older.sha256)).body, "older state");
      assert.equal((await get(newer.sha256)).status, 404);
      const { notices, checkpoints } = await detail();
      assert.deepEqual(checkpoints, [older]);
      assert.match(notices[0]?.text ?? "", /damaged on the server/);
      await waitUntil("its blob is gone", async () => {
        return !(await server.blobs.list("", 10)).includes(newer.sha256);
      });
    });

    it("that are lost are told of in the same way", async () => {
      const { sha256 } = await leased.checkpoint(bytes("state"));
      await server.blobs.delete(sha256);
      assert.equal(codeOf((await get(sha256)).body), "E_CHECKSUM");
      assert.match((await detail()).notices[0]?.text ?? "", /not on the server any more/);
    });
  });

  it("too large to be saved are told while the evaluation runs, by why, the task and the point", async () => {
    const { taskId, point } = leased;
    const item = { type: "evaluation", taskId, pointId: "0" } as const;
    const beat = (warnings: FromPilotOf<"beat">["warnings"]): void => {
      const pilotId = `pilot-${taskId}`;
      const from = { session: pilotId, pilotId, submissionId: `sub-${taskId}` };
      const message = { type: "beat" as const, grantSeen: 1, leases: [], warnings };
      server.engine.post({ type: "pilot", ...from, message });
    };
    const epoch = point.epoch;
    beat([{ item, epoch, text: "model.pt 120000000 bytes" }]);
    const why = await waitUntil("why tells it", async () => {
      const { body } = await server.call(anna, "GET", `/tasks/${taskId}/why`);
      const answer = WhyAnswer.parse(body);
      return answer.warnings.length > 0 ? answer : null;
    });
    assert.deepEqual(why.warnings, ["point 0: model.pt 120000000 bytes"]);
    assert.deepEqual((await detail()).warnings, ["model.pt 120000000 bytes"]);
    const task = (await server.call(anna, "GET", `/tasks/${taskId}`)).body as {
      warnings: string[];
    };
    assert.ok(task.warnings.includes("point 0: model.pt 120000000 bytes"));
    await leased.result({});
    assert.deepEqual((await detail()).warnings, [], "it is over with the lease");
  });
});
