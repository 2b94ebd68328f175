import { imageName } from "../../protocol/steering-command.ts";

export interface QueueImage {
  /** With scheme, or a path of the node. */
  readonly image: string;
  /** The queue's operator has put it in the place of what the task names. */
  readonly isOperators: boolean;
}

/**
 * The image that nodes of a queue use for what a task names. The operator may have written the name as the task does,
 * without scheme or with it. A name without scheme is one of a registry.
 */
export function queueImage(name: string, images: Readonly<Record<string, string>>): QueueImage {
  const image = imageName(name);
  for (const key of [name, image, image.replace(/^docker:\/\//, "")]) {
    const replacement = Object.hasOwn(images, key) ? images[key] : undefined;
    if (replacement !== undefined) return { image: imageName(replacement), isOperators: true };
  }
  return { image, isOperators: false };
}
