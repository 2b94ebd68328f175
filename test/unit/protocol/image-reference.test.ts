import assert from "node:assert/strict";
import { parseImageReference, RegistryName } from "../../../protocol/image-reference.ts";

const DIGEST = `sha256:${"0a".repeat(32)}`;

describe("Names of images in registries", () => {
  const cases: Readonly<Record<string, readonly (string | null)[]>> = {
    "docker://debian": ["docker.io", "library/debian", "latest", null],
    "docker://group/image:1.2": ["docker.io", "group/image", "1.2", null],
    "docker://index.docker.io/group/image": ["docker.io", "group/image", "latest", null],
    "docker://Registry.Example.org/a/b/c:v1": ["registry.example.org", "a/b/c", "v1", null],
    "docker://localhost:5000/image": ["localhost:5000", "image", "latest", null],
    [`docker://ghcr.io/a/b@${DIGEST}`]: ["ghcr.io", "a/b", null, DIGEST],
    [`docker://ghcr.io/a/b:tag@${DIGEST}`]: ["ghcr.io", "a/b", null, DIGEST],
  };

  for (const [name, parts] of Object.entries(cases))
    it(`are read by docker's rules: ${name}`, () => {
      const read = parseImageReference(name)!;
      assert.deepEqual([read.registry, read.repository, read.tag, read.digest], parts);
    });

  it("are none when a program could take them for something else", () => {
    for (const name of [
      "debian",
      "docker://",
      "docker://--privileged",
      "docker://a b",
      "docker://UPPER/case",
      "docker://a/../b",
      "docker://a:b:c",
      "docker://a@sha256:12",
      `docker://a@${DIGEST}@${DIGEST}`,
      "docker://registry.example.org/",
      `docker://${"a".repeat(5_000)}`,
      "docker://user:password@registry.example.org/image",
    ])
      assert.equal(parseImageReference(name), null, name);
  });

  it("name a registry the same however it is written", () => {
    for (const text of ["https://Registry.Example.org/v2/", " registry.example.org "])
      assert.equal(RegistryName.parse(text), "registry.example.org");
    assert.equal(RegistryName.parse("registry-1.docker.io"), "docker.io");
    for (const text of ["", "a b", "../x", "--file", "x".repeat(300)])
      assert.equal(RegistryName.safeParse(text).success, false, text);
  });
});
