/** Batch systems that a queue may use. Apart from their schemas: the help names them and loads none. */
export const BATCH_KINDS = [
  "local",
  "slurm",
  "htcondor",
  "gridengine",
  "pbs",
  "lsf",
  "kubernetes",
] as const;
