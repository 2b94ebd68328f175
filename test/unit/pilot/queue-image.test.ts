import assert from "node:assert/strict";
import { resolveImage } from "../../../pilot/runtime/image-name.ts";

describe("The image that a queue uses for what a task names", () => {
  it("is one of a registry when the name has no scheme, and else what it says", () => {
    for (const [name, image] of [
      ["group/train:1", "docker://group/train:1"],
      ["docker://group/train:1", "docker://group/train:1"],
      ["/cvmfs/images/train.sif", "/cvmfs/images/train.sif"],
      ["host:", "host:"],
    ] as const)
      assert.deepEqual(resolveImage(name, {}), { image, isOperators: false });
  });

  it("is the operator's, under the name as tasks write it, with scheme or without", () => {
    const replaced = { image: "/images/train.sif", isOperators: true };
    for (const key of ["group/train:1", "docker://group/train:1"])
      for (const name of ["group/train:1", "docker://group/train:1"])
        assert.deepEqual(resolveImage(name, { [key]: "/images/train.sif" }), replaced);
    assert.deepEqual(resolveImage("hyperpilot/skopt", { "hyperpilot/skopt": "mirror/skopt:2" }), {
      image: "docker://mirror/skopt:2",
      isOperators: true,
    });
  });

  it("is never something that all objects have", () => {
    for (const name of ["constructor", "__proto__", "toString"])
      assert.equal(resolveImage(name, {}).isOperators, false);
  });
});
