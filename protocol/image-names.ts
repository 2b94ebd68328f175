/** Names of images: those of a registry without scheme, another name that a queue gives them, the predefined ones. */
import { HyperpilotError } from "./errors.ts";

/** Libraries with a predefined steering image, `hyperpilot/NAME`. */
export const STEERING_LIBRARIES = ["nevergrad", "skopt", "optuna"] as const;
export type SteeringLibrary = (typeof STEERING_LIBRARIES)[number];

const PREDEFINED = "hyperpilot/";
const REGISTRY = "docker://";

/** Without a scheme an image is one of a registry. */
export function imageName(image: string): string {
  return /^(?:[a-z][a-z-]*:\/\/|host:|\/|hyperpilot\/)/.test(image) ? image : `${REGISTRY}${image}`;
}

export function predefinedImage(library: SteeringLibrary): string {
  return `${PREDEFINED}${library}`;
}

/** What a queue's `images` says for this name, with or without `docker://`; null when it says nothing. */
export function imageAlias(name: string, images: Readonly<Record<string, string>>): string | null {
  const bare = name.startsWith(REGISTRY) ? name.slice(REGISTRY.length) : name;
  for (const spelling of [name, bare, `${REGISTRY}${bare}`]) {
    if (Object.hasOwn(images, spelling)) return imageName(images[spelling] ?? "");
  }
  return null;
}

/** E_IMAGE for a predefined image that a queue cannot resolve; null for every other name. */
export function missingPredefined(name: string): HyperpilotError | null {
  const bare = name.startsWith(REGISTRY) ? name.slice(REGISTRY.length) : name;
  if (!bare.startsWith(PREDEFINED)) return null;
  const library = STEERING_LIBRARIES.find((one) => predefinedImage(one) === bare);
  if (library === undefined) {
    return new HyperpilotError({
      code: "E_IMAGE",
      message: `There is no predefined image ${bare}.`,
      remedy: `Use one of ${STEERING_LIBRARIES.map(predefinedImage).join(", ")}, or an image of your own.`,
    });
  }
  return new HyperpilotError({
    code: "E_IMAGE",
    message: `The predefined image ${bare} has not been built here.`,
    remedy: `An administrator builds it once with: hyperpilot admin steering build ${library}`,
  });
}
