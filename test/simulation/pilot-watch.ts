/** What one pilot's program owes its payloads: each started once, each result kept until the server has answered it. */
import { itemKey, type Epoch, type Item } from "../../protocol/ids.ts";
import type { FromPilot, GrantedItem, Outcome, ToPilot } from "../../protocol/pilot-messages.ts";
import { EXIT } from "../../protocol/errors.ts";
import type { Oracle } from "./oracle.ts";
import { nameOfListed } from "./turn-checks.ts";

/** What the server has not answered; `seq` null: it is not sent yet. */
interface Owed {
  readonly outcome: Outcome | null;
  readonly seq: number | null;
}

export class PilotWatch {
  readonly #oracle: Oracle;
  readonly #name: string;
  readonly #granted = new Set<string>();
  readonly #started = new Set<string>();
  /** Slot to the lease that runs in it. */
  readonly #running = new Map<number, string>();
  /** Results of payloads that ended by themselves, until they are answered or their lease is stopped. */
  /** Leases that the server has ended: nothing is owed under them, whatever their payloads still say. */
  readonly #stopped = new Set<string>();
  readonly #owed = new Map<string, Owed>();

  constructor(oracle: Oracle, name: string) {
    this.#oracle = oracle;
    this.#name = name;
  }

  received(message: ToPilot): void {
    if (message.type === "grant")
      for (const item of message.items) this.#granted.add(nameOfListed(item));
    if (message.type === "stop") {
      this.#stopped.add(nameOfListed(message));
      this.#owed.delete(nameOfListed(message));
    }
    if (message.type !== "accepted" && message.type !== "stale") return;
    // A checkpoint is answered, too, and its result is owed all the same.
    const name = nameOfListed(message);
    if (this.#owed.get(name)?.seq === message.seq) this.#owed.delete(name);
  }

  started(item: GrantedItem): void {
    const name = nameOfListed(item);
    const former = this.#running.get(item.slot);
    this.#oracle.must(
      this.#granted.has(name),
      "single",
      () => `${this.#name} starts ${name}, which was not granted`,
    );
    this.#oracle.must(
      !this.#started.has(name),
      "single",
      () => `${this.#name} starts ${name} twice`,
    );
    this.#oracle.must(
      former === undefined,
      "single",
      () => `${this.#name} starts ${name} beside ${former} in slot ${item.slot}`,
    );
    this.#started.add(name);
    this.#running.set(item.slot, name);
  }

  ended(item: GrantedItem, outcome: Outcome | null): void {
    this.#running.delete(item.slot);
    if (outcome !== null) this.#owe(nameOfListed(item), { outcome, seq: null });
  }

  /** A run of steering has ended; it has an answer unless it was stopped. */
  steered(item: GrantedItem, hasAnswer: boolean): void {
    this.#running.delete(item.slot);
    if (hasAnswer) this.#owe(nameOfListed(item), { outcome: null, seq: 1 });
  }

  #owe(name: string, owed: Owed): void {
    if (!this.#stopped.has(name)) this.#owed.set(name, owed);
  }

  sends(message: FromPilot): void {
    if (message.type === "checkpoint")
      this.#oracle.onSentState(nameOf(message.item, message.epoch), message.seq, message.sha256);
    if (message.type !== "result") return;
    const name = nameOfListed(message);
    const owed = this.#owed.get(name);
    // What the agent makes of a payload that it has stopped itself is its own word.
    const isOwn = message.outcome.type === "interrupted" || message.outcome.type === "timeout";
    this.#oracle.must(
      isOwn ||
        owed === undefined ||
        JSON.stringify(owed.outcome) === JSON.stringify(message.outcome),
      "fromSomewhere",
      () =>
        `${this.#name} reports ${JSON.stringify(message.outcome)} for ${name}, its payload said ${JSON.stringify(owed?.outcome)}`,
    );
    this.#owed.set(name, { outcome: message.outcome, seq: message.seq });
    this.#oracle.onSent(nameOf(message.item, message.epoch), message.seq, message.outcome);
  }

  /** The program leaves by itself. `isCurrent`: no other has taken its place, its submission goes on. */
  exits(code: number, detail: string, isCurrent: boolean): void {
    this.#oracle.must(
      // A server that was restored from a backup does not remember whom it has turned away since.
      code === EXIT.success || !isCurrent || this.#oracle.wasRestored,
      "peers",
      () => `${this.#name} is turned away (${detail}) although it is the submission's pilot`,
    );
    this.#oracle.reached(code === EXIT.success ? "pilot left by itself" : "pilot turned away");
    if (code !== EXIT.success) return;
    const owed = [...this.#owed.keys()];
    this.#oracle.must(
      owed.length === 0 && this.#running.size === 0,
      "kept",
      () =>
        `${this.#name} leaves (${detail}) with ${[...this.#running.values()].join(", ")} running and ${owed.join(", ")} unanswered`,
    );
  }
}

function nameOf(item: Item, epoch: Epoch): string {
  return item.type === "evaluation"
    ? nameOfListed({ item, epoch })
    : `${itemKey(item)}@${epoch.join(".")}`;
}
