/** Specifications of tasks, sent once per session: a bounded number, the oldest goes first. Pure. */
import { PILOT } from "../protocol/limits.ts";
import type { TaskSpecification } from "../protocol/task.ts";

export class KnownTasks {
  readonly #specs = new Map<number, TaskSpecification>();

  /** Keeps a specification, without the search space, which only steering reads. */
  learn(taskId: number, spec: TaskSpecification): void {
    this.#specs.delete(taskId);
    this.#specs.set(taskId, { ...spec, searchSpace: "" });
    const [oldest] = this.#specs.keys();
    if (this.#specs.size > PILOT.specsMax && oldest !== undefined) this.#specs.delete(oldest);
  }

  specOf(taskId: number): TaskSpecification | undefined {
    return this.#specs.get(taskId);
  }
}
