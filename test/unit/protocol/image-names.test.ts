import assert from "node:assert/strict";
import { resolveImage } from "../../../pilot/runtime/image-name.ts";
import { imageAlias, imageName } from "../../../protocol/image-names.ts";

describe("names of images", () => {
  it("without a scheme are of a registry", () => {
    assert.equal(imageName("registry.example/a:1"), "docker://registry.example/a:1");
    for (const name of ["docker://a", "oci-archive://a", "host:", "/a.sif", "hyperpilot/optuna"])
      assert.equal(imageName(name), name);
  });

  it("may stand for others in a queue, however the scheme is written", () => {
    const images = { "registry.example/a:1": "/images/a.sif", "docker://b": "registry.example/b" };
    assert.equal(imageAlias("docker://registry.example/a:1", images), "/images/a.sif");
    assert.equal(imageAlias("registry.example/a:1", images), "/images/a.sif");
    assert.equal(imageAlias("b", images), "docker://registry.example/b");
    assert.equal(imageAlias("registry.example/a:2", images), null);
    assert.equal(imageAlias("constructor", images), null);
  });

  it("of the operator may lie anywhere; those of users may not", () => {
    assert.deepEqual(resolveImage("a", { a: "/images/a.sif" }), {
      image: "/images/a.sif",
      isOperators: true,
    });
    assert.deepEqual(resolveImage("/etc", {}), { image: "/etc", isOperators: false });
  });

  it("that are predefined and not built are answered with the command that builds them", () => {
    assert.throws(() => resolveImage("hyperpilot/nevergrad", {}), {
      code: "E_IMAGE",
      message: "The predefined image hyperpilot/nevergrad has not been built here.",
      remedy: /hyperpilot admin steering build nevergrad$/,
    });
    assert.throws(() => resolveImage("hyperpilot/ax", {}), { remedy: /hyperpilot\/skopt/ });
    const built = { "hyperpilot/nevergrad": "/images/all.sif" };
    assert.equal(resolveImage("docker://hyperpilot/nevergrad", built).image, "/images/all.sif");
  });
});
