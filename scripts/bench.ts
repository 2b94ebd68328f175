/** `npm run bench -- NAME [--json FILE]`: runs one benchmark, or `all`, and shows its figures. */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";

type Figures = Readonly<Record<string, unknown>>;

/** File and exported function of each benchmark; loaded when it is run. */
const benchmarks: Readonly<Record<string, { readonly file: string; readonly run: string }>> = {
  journal: { file: "./bench/journal.ts", run: "journalBench" },
  "tpe-quality": { file: "./bench/tpe-quality.ts", run: "tpeQuality" },
  "idle-gap": { file: "./bench/idle-gap.ts", run: "idleGap" },
  restart: { file: "./bench/restart.ts", run: "restart" },
  "durable-results": { file: "./bench/durable-results.ts", run: "durableResults" },
};

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "string" } },
  });
  const [name = ""] = positionals;
  const names = name === "all" ? Object.keys(benchmarks) : [name];
  if (positionals.length !== 1 || names.some((each) => !Object.hasOwn(benchmarks, each))) {
    console.error(
      name === "" ? "no benchmark named" : `unknown benchmark: ${positionals.join(" ")}`,
    );
    console.error(`  Do: npm run bench -- NAME [--json FILE], NAME is one of`);
    console.error(`      ${Object.keys(benchmarks).join(", ")}, all`);
    return 2;
  }
  const figures: Record<string, Figures> = {};
  for (const each of names) {
    console.log(`${each}:`);
    figures[each] = await load(each);
    console.table(figures[each]);
  }
  if (values.json !== undefined) {
    const document = { machine: machine(), figures };
    writeFileSync(values.json, `${JSON.stringify(document, null, 2)}\n`);
  }
  return 0;
}

async function load(name: string): Promise<Figures> {
  const benchmark = benchmarks[name];
  if (benchmark === undefined) throw new Error(`unknown benchmark ${name}`);
  const module = (await import(benchmark.file)) as Readonly<Record<string, unknown>>;
  const run = module[benchmark.run];
  if (typeof run !== "function") throw new Error(`${benchmark.file} exports no ${benchmark.run}`);
  return await (run as () => Promise<Figures>)();
}

/** Figures mean nothing without it. */
function machine(): Figures {
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
  };
}

process.exitCode = await main();
