/** The driver of a batch system as a queue configures it. */
import { assertNever } from "../../protocol/assert-never.ts";
import type { Batch } from "../../protocol/batch.ts";
import { createBatchCommand, type BatchCommand } from "../batch-command.ts";
import type { BatchDriver } from "../driver.ts";
import type { PilotLaunch } from "../launch.ts";
import { GRID_ENGINE_VARIABLES, gridEngine } from "./gridengine.ts";
import { CONDOR_VARIABLES, createHtCondorDriver } from "./htcondor.ts";
import { KUBERNETES_VARIABLES, createKubernetesDriver } from "./kubernetes.ts";
import { LSF_VARIABLES, lsf } from "./lsf.ts";
import { PBS_VARIABLES, pbs } from "./pbs.ts";
import { createScriptDriver } from "./script-driver.ts";
import { SLURM_VARIABLES, slurm } from "./slurm.ts";

export interface DriverWorld {
  /** Of this process; a driver passes on little of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly launch: PilotLaunch;
  readonly local: BatchDriver;
}

export function createDriver(batch: Batch, world: DriverWorld): BatchDriver {
  const { launch, environment } = world;
  const commandFor = (
    one: Exclude<Batch, { kind: "local" }>,
    passedOn: readonly string[],
  ): BatchCommand => createBatchCommand({ ...one, environment, passedOn });
  switch (batch.kind) {
    case "local":
      return world.local;
    case "slurm": {
      const command = commandFor(batch, SLURM_VARIABLES);
      return createScriptDriver(slurm(batch, command), { command, launch });
    }
    case "gridengine": {
      const command = commandFor(batch, GRID_ENGINE_VARIABLES);
      return createScriptDriver(gridEngine(batch, command), { command, launch });
    }
    case "pbs": {
      const command = commandFor(batch, PBS_VARIABLES);
      return createScriptDriver(pbs(batch, command), { command, launch });
    }
    case "lsf": {
      const command = commandFor(batch, LSF_VARIABLES);
      return createScriptDriver(lsf(batch, command), { command, launch });
    }
    case "htcondor":
      return createHtCondorDriver({ batch, command: commandFor(batch, CONDOR_VARIABLES), launch });
    case "kubernetes":
      return createKubernetesDriver({ batch, command: commandFor(batch, KUBERNETES_VARIABLES) });
    default:
      return assertNever(batch);
  }
}
