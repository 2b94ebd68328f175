// Fake batch commands: one program under the name of each (see fake-batch.ts). Jobs are real processes of this machine, noted as
// files in $FAKE_BATCH; each command prints what the real one prints, as far as drivers read it.
import { spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";

const directory = process.env.FAKE_BATCH;
const name = basename(process.argv[1]);
const words = process.argv.slice(2);

if (existsSync(join(directory, "broken"))) {
  const words = readFileSync(join(directory, "broken"), "utf8");
  process.stderr.write(words === "" ? `${name}: cannot connect to server\n` : words);
  process.exit(1);
}

function optionOf(flag) {
  const at = words.indexOf(flag);
  return at < 0
    ? (words.find((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? null)
    : words[at + 1];
}

function jobs() {
  return readdirSync(directory)
    .filter((file) => /^job-\d+\.json$/.test(file))
    .map((file) => JSON.parse(readFileSync(join(directory, file), "utf8")))
    .map((job) => ({ ...job, runs: job.pid !== null && isRunning(job.pid) }));
}

function isRunning(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1][0] !== "Z";
  } catch {
    return false;
  }
}

/** How many jobs may run at a time; the others wait until the state of jobs is asked for and there is room. */
function places() {
  const file = join(directory, "places");
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : Infinity;
}

const isWaiting = (job) => job.pid === null && job.argv !== undefined && !job.cancelled;

function note(job) {
  writeFileSync(join(directory, `job-${job.id}.json`), JSON.stringify(job));
}

function start(jobName, argv, cwd, environment = {}) {
  const id = newId();
  // Where the system itself would write it; of the others nobody reads it.
  const output = optionOf("--output") ?? join(directory, `job-${id}.out`);
  const job = { id, name: jobName, pid: null, words, argv, cwd, environment, output };
  if (places() === Infinity) run(job);
  else note(job);
  const others = jobs().filter((other) => other.id !== id);
  const [waiting, running] = [others.filter(isWaiting), others.filter((other) => other.runs)];
  const line = { name: jobName, waiting: waiting.length, running: running.length };
  appendFileSync(join(directory, "submits"), `${JSON.stringify(line)}\n`);
  return id;
}

function newId() {
  for (let id = jobs().length + 1; ; id += 1) {
    try {
      writeFileSync(join(directory, `job-${id}.json`), '{"id":0,"name":"","pid":null}', {
        flag: "wx",
      });
      return id;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
  }
}

function run(job) {
  const output = openSync(job.output, "a");
  const child = spawn(job.argv[0], job.argv.slice(1), {
    cwd: job.cwd,
    detached: true,
    stdio: ["ignore", output, output],
    env: { PATH: process.env.PATH, ...job.environment },
  });
  child.unref();
  note({ ...job, pid: child.pid });
}

function startWaiting() {
  const all = jobs();
  const room = Math.max(0, places() - all.filter((job) => job.runs).length);
  for (const job of all.filter(isWaiting).slice(0, room)) run(job);
}

function end(ids) {
  for (const job of jobs()) {
    if (!ids.includes(job.id)) continue;
    appendFileSync(join(directory, "removals"), `${job.name}\n`);
    if (isWaiting(job)) note({ ...job, cancelled: true });
    if (!job.runs) continue;
    try {
      process.kill(-job.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

function stdin() {
  return readFileSync(0, "utf8");
}

/** The last word is the script. */
function startScript(nameFlag) {
  return start(optionOf(nameFlag), ["/bin/sh", words.at(-1)], process.cwd());
}

const numbers = () =>
  words.filter((word) => /^\d+/.test(word)).map((word) => Number.parseInt(word, 10));

const commands = {
  sbatch: () => `${startScript("--job-name")}\n`,
  squeue: () => {
    startWaiting();
    const wanted = optionOf("--name").split(",");
    return jobs()
      .filter((job) => wanted.includes(job.name))
      .map(
        (job) =>
          `${job.id}|${isWaiting(job) ? "PENDING|Resources" : job.runs ? "RUNNING|None" : "COMPLETED|None"}|9:58|START|END|node|${job.name}\n`,
      )
      .join("");
  },
  scancel: () => (end(numbers()), ""),
  "pbs/qsub": () => `${startScript("-N")}.server\n`,
  "pbs/qstat": () =>
    words.includes("json")
      ? JSON.stringify({
          Jobs: Object.fromEntries(
            jobs().map((job) => [
              `${job.id}.server`,
              {
                Job_Name: job.name,
                job_state: job.runs ? "R" : "F",
                ...(job.runs ? {} : { Exit_status: 0 }),
              },
            ]),
          ),
        })
      : `<Data>${jobs()
          .map(
            (job) =>
              `<Job><Job_Id>${job.id}.server</Job_Id><Job_Name>${job.name}</Job_Name><job_state>${job.runs ? "R" : "C"}</job_state></Job>`,
          )
          .join("")}</Data>`,
  "pbs/qdel": () => (end(numbers()), ""),
  "gridengine/qsub": () => `${startScript("-N")}\n`,
  "gridengine/qstat": () => {
    const shown = jobs().filter((job) => job.runs !== words.includes("z"));
    const rows = shown.map(
      (job) =>
        `<job_list state="x"><JB_job_number>${job.id}</JB_job_number><JB_name>${job.name}</JB_name><state>${job.runs ? "r" : "z"}</state><queue_name></queue_name></job_list>`,
    );
    return `<job_info><queue_info>${rows.join("")}</queue_info></job_info>`;
  },
  "gridengine/qdel": () => (end(numbers()), ""),
  bsub: () => {
    const id = start(optionOf("-J"), ["/bin/sh", "-c", stdin()], process.cwd());
    return `Job <${id}> is submitted to queue <normal>.\n`;
  },
  bjobs: () => {
    const all = jobs();
    if (all.length === 0) {
      process.stderr.write("No job found\n");
      process.exit(255);
    }
    const RECORDS = all.map((job) => ({
      JOBID: String(job.id),
      JOB_NAME: job.name,
      STAT: job.runs ? "RUN" : "DONE",
      EXIT_CODE: "",
      EXIT_REASON: "",
      PEND_REASON: "",
      EXEC_HOST: "node",
    }));
    return JSON.stringify({ COMMAND: "bjobs", JOBS: RECORDS.length, RECORDS });
  },
  bkill: () => (end(numbers()), ""),
  condor_submit: () => {
    const text = readFileSync(words.at(-1), "utf8");
    const tag = /HyperpilotSubmission = "([^"]+)"/.exec(text)[1];
    const cwd = /initialdir = (.*)/.exec(text)[1];
    const id = start(tag, ["/bin/sh", "pilot.sh"], cwd);
    return `${id}.0 - ${id}.0\n`;
  },
  condor_q: () => condorList(true),
  condor_history: () => condorList(false),
  condor_rm: () => {
    const tag = /== "([^"]+)"/.exec(optionOf("-constraint"))[1];
    const found = jobs().filter((job) => job.name === tag && job.runs);
    if (found.length === 0) {
      process.stderr.write("Couldn't find/remove all jobs matching constraint\n");
      process.exit(1);
    }
    end(found.map((job) => job.id));
    return "";
  },
  kubectl: () => {
    if (words.includes("create")) {
      const manifest = JSON.parse(stdin());
      const metadata = { name: manifest.metadata.name, uid: "0-1-2" };
      if (manifest.kind === "Secret") {
        const boot = Buffer.from(manifest.data["boot.json"], "base64").toString();
        writeFileSync(join(directory, `secret-${metadata.name}`), boot);
        return JSON.stringify({ metadata });
      }
      const [container] = manifest.spec.template.spec.containers;
      const scratch = join(directory, `scratch-${metadata.name}`);
      mkdirSync(scratch);
      // What the mounts of the pod would be.
      const command = container.command.map((word) =>
        word
          .replaceAll("/run/hyperpilot/boot.json", join(directory, `secret-${metadata.name}`))
          .replaceAll("/scratch", scratch),
      );
      start(
        metadata.name,
        [
          "/bin/sh",
          "-c",
          `while [ ! -e '${join(directory, `secret-${metadata.name}`)}' ]; do sleep 0.02; done; ${command[2]}`,
        ],
        directory,
      );
      return JSON.stringify({ metadata });
    }
    if (words.includes("delete")) {
      const job = words[words.indexOf("job") + 1];
      end(
        jobs()
          .filter((one) => one.name === job)
          .map((one) => one.id),
      );
      return "";
    }
    const items = jobs().map((job) => ({
      metadata: { name: `${job.name}-x`, labels: { "hyperpilot/submission": job.name } },
      spec: { nodeName: "node" },
      status: { phase: job.runs ? "Running" : "Succeeded" },
    }));
    return JSON.stringify({ items });
  },
};

function condorList(isQueue) {
  const constraint = optionOf("-constraint");
  const shown = jobs().filter(
    (job) => job.runs === isQueue && constraint.includes(`"${job.name}"`),
  );
  if (shown.length === 0) return "";
  return JSON.stringify(
    shown.map((job) => ({
      ClusterId: job.id,
      ProcId: 0,
      HyperpilotSubmission: job.name,
      JobStatus: isQueue ? 2 : 4,
      ExitCode: 0,
    })),
  );
}

const command = commands[`${process.env.FAKE_BATCH_SYSTEM}/${name}`] ?? commands[name];
process.stdout.write(command());
