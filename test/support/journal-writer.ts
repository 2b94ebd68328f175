/**
 * A process of its own that appends batches until it is killed: `journal-writer.ts DIRECTORY`. Prints the last number of each
 * acknowledged batch, one per line, written at once.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../common/clock.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { batchOf } from "../contract/suites/journal-suite.ts";

const [directory = ""] = process.argv.slice(2);
const journal = createLevelJournal({
  directory,
  clock: systemClock,
  onHeadFailed: (error) => {
    throw error;
  },
});
const { term, head } = await journal.open();
for (let seq = head.seq + 1; ; seq += 5) {
  await journal.append(batchOf(seq, 5), term);
  writeSync(1, `${seq + 4}\n`);
}
