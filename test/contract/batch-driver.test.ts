import { describeBatchDriver } from "./suites/batch-driver-suite.ts";
import { localPilots } from "../support/local-pilots.ts";

describeBatchDriver("local", () => Promise.resolve(localPilots()));
