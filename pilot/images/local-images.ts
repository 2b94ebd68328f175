/** Images that podman or docker built on the node: `docker://localhost/...` comes from no registry. */
import { LOCAL_REGISTRY, parseImageReference } from "../../protocol/image-reference.ts";
import type { ImageStore } from "../runtime/runtime.ts";
import { ImageError } from "./image-errors.ts";

export function isLocalImage(image: string): boolean {
  return parseImageReference(image)?.registry === LOCAL_REGISTRY;
}

/** What the runtime takes for it. Errors: E_IMAGE, which another node may see differently. */
export async function findLocalImage(store: ImageStore, image: string): Promise<string> {
  const name = image.slice("docker://".length);
  const found = (await store.findLocal?.(name)) ?? null;
  if (found !== null) return found;
  throw new ImageError(null, {
    message: `image ${image} is not on this node`,
    why:
      store.findLocal === undefined
        ? "names that begin with localhost/ are images that podman or docker built on the node, and its payloads run in neither"
        : `${store.kind} keeps no image of this name, and names that begin with localhost/ come from no registry`,
    remedy:
      "build it on the node (steering images: hyperpilot admin steering build), or push it to a registry and name that",
  });
}
