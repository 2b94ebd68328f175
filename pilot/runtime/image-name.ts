/** From the name that a task gives an image to what this queue's nodes use for it. */
import { imageAlias, imageName, missingPredefined } from "../../protocol/image-names.ts";

export interface ResolvedImage {
  readonly image: string;
  /** The queue's operator named it, so it may lie anywhere on the node. */
  readonly isOperators: boolean;
}

/** Errors: E_IMAGE for a predefined image that nobody has built. */
export function resolveImage(
  name: string,
  images: Readonly<Record<string, string>>,
): ResolvedImage {
  const alias = imageAlias(name, images);
  if (alias !== null) return { image: alias, isOperators: true };
  const missing = missingPredefined(name);
  if (missing !== null) throw missing;
  return { image: imageName(name), isOperators: false };
}
