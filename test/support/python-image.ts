/** An image with Python: the machine's own, copied into a directory with the few libraries that it needs. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const INSTALLATION = `
import sys, sysconfig
print(sys.executable); print(sysconfig.get_path("stdlib"))`;
/** Large parts of the library that no training needs. */
const LEFT_OUT =
  /\/(test|tests|idlelib|lib2to3|ensurepip|__pycache__|config-[^/]*|dist-packages|turtledemo|tkinter)$/;

/** Copies busybox's programs from `base`, and Python beside them. */
export function makePythonImage(base: string, image: string): void {
  cpSync(base, image, { recursive: true, verbatimSymlinks: true });
  const options = { encoding: "utf8" as const, stdio: ["ignore", "pipe", "pipe"] as const };
  const said = execFileSync("/usr/bin/python3", ["-c", INSTALLATION], {
    ...options,
    stdio: "pipe",
  });
  const [program = "", library = ""] = said
    .trim()
    .split("\\n")
    .flatMap((line) => line.split("\n"));
  const real = execFileSync("readlink", ["-f", program], { ...options, stdio: "pipe" }).trim();
  const libraries = execFileSync("ldd", [real], { ...options, stdio: "pipe" });
  const add = (path: string, to = path): void => {
    mkdirSync(dirname(join(image, to)), { recursive: true });
    cpSync(path, join(image, to), {
      recursive: true,
      dereference: true,
      filter: (source) => !LEFT_OUT.test(source),
    });
  };
  add(real, "/usr/bin/python3");
  add(library);
  for (const [path] of libraries.matchAll(/\/\S+/g)) add(path);
  const modules = execFileSync("find", [library, "-name", "_*.so"], { ...options, stdio: "pipe" });
  const needed = execFileSync("ldd", modules.trim().split("\n"), { ...options, stdio: "pipe" });
  for (const [, path = ""] of needed.matchAll(/=> (\/\S+)/g)) add(path);
  writeFileSync(join(image, "marker"), "python\n");
}
