/** Why an image cannot be had, with what to do. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { ImageCause } from "../../protocol/pilot-messages.ts";

/** E_IMAGE of a registry's image. */
export class ImageError extends HyperpilotError {
  /** What no other node would see differently, as the task itself names a wrong image; null: it may be had elsewhere or later. */
  readonly imageCause: ImageCause | null;

  constructor(
    imageCause: ImageCause | null,
    parts: { message: string; why: string; remedy: string },
  ) {
    super({ code: "E_IMAGE", ...parts });
    this.imageCause = imageCause;
  }
}

export function imageNotFound(image: string, why: string): ImageError {
  return new ImageError("notFound", {
    message: `image ${image} was not found`,
    why,
    remedy: "check its name and tag",
  });
}

export function imageDenied(image: string, registry: string, why: string): ImageError {
  return new ImageError("denied", {
    message: `access to image ${image} was denied`,
    why,
    remedy: `check its name; if it is private: hyperpilot secret set ${registry} --file FILE`,
  });
}

/** What a failed pull means, by the program's own words. */
export function pullFailure(program: string, image: string, words: string): HyperpilotError {
  if (/no space left on device|disk quota exceeded/i.test(words)) return diskFull(image, words);
  if (/manifest unknown|name unknown|not found/i.test(words)) return imageNotFound(image, words);
  if (/unauthorized|denied|authentication required/i.test(words))
    return imageDenied(image, image.split("/")[0] ?? "", words);
  return new ImageError(null, {
    message: `${program} could not fetch image ${image}`,
    why: words,
    remedy: "if it happens on other nodes too, look at the image; else at this node",
  });
}

export function diskFull(image: string, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_STORAGE_FULL",
    message: `image ${image} does not fit on the node's disk`,
    why,
    remedy: "make room, or name a larger disk in HYPERPILOT_IMAGE_CACHE",
  });
}
