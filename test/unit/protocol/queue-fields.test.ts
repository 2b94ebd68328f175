import assert from "node:assert/strict";
import { BATCH_KINDS } from "../../../protocol/batch-kinds.ts";
import { Batch } from "../../../protocol/batch.ts";
import { queueFields, valueAt, withValueAt } from "../../../protocol/queue-fields.ts";
import { QueueConfig } from "../../../protocol/queue.ts";

/** What a kind cannot be without. */
const NEEDED: Readonly<Record<string, object>> = { kubernetes: { image: "pilot:1" } };

describe("fields of a queue", () => {
  it("are there for every batch system, and no other system is named", () => {
    const kinds = Batch.options.map(({ shape }) => shape.kind.value);
    assert.deepEqual(kinds, [...BATCH_KINDS]);
  });

  for (const kind of BATCH_KINDS) {
    it(`of ${kind} are all explained, and all values of a queue are among them`, () => {
      const fields = queueFields(kind);
      for (const { path, description } of fields)
        assert.ok(description.length > 5, `${path}: ${description}`);
      const config = QueueConfig.parse({ name: "q", batch: { kind, ...NEEDED[kind] } });
      const leaves = leavesOf(config);
      const paths = fields.map(({ path }) => path);
      assert.deepEqual(
        leaves.filter((leaf) => !paths.includes(leaf)),
        [],
      );
    });
  }

  it("are read and written by their path", () => {
    const written = withValueAt({ name: "q" }, "slot.cpus", 4);
    assert.deepEqual(written, { name: "q", slot: { cpus: 4 } });
    assert.equal(valueAt(written, "slot.cpus"), 4);
    assert.equal(valueAt(written, "slot.gpus"), undefined);
  });
});

/** Paths of what is no object with fields; tables of free names count as one value. */
function leavesOf(config: QueueConfig): string[] {
  const tables = ["environment", "images"];
  return Object.entries<unknown>(config).flatMap(([name, value]) => {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isObject || tables.includes(name)) return [name];
    return Object.keys(value).map((inner) => `${name}.${inner}`);
  });
}
