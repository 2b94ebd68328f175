import type { BatchDriver } from "../../harvester/driver.ts";

/** Stands where a test uses batch systems only: any call is a mistake. */
export const noLocalDriver: BatchDriver = {
  submit: () => Promise.reject(new Error("no pilots of this machine here")),
  statusOf: () => Promise.reject(new Error("no pilots of this machine here")),
  remove: () => Promise.reject(new Error("no pilots of this machine here")),
  capabilities: () => ({ restartsJobs: false, statusChunk: 1 }),
};
