/** Built-in steering: ask and tell as one pure function. */
import type { AskAnswer, AskRequest } from "./ask.ts";
import { askGrid } from "./grid.ts";
import { askRandom } from "./random.ts";
import { askTpe } from "./tpe.ts";

export type { AskAnswer, AskRequest } from "./ask.ts";

/** Proposes points; equal requests get equal answers. */
export function askSampler(request: AskRequest): AskAnswer {
  switch (request.method) {
    case "random":
      return askRandom(request);
    case "grid":
      return askGrid(request);
    case "tpe":
      return askTpe(request);
  }
}
