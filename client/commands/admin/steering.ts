import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXIT } from "../../../protocol/errors.ts";
import {
  STEERING_LIBRARIES,
  predefinedImage,
  type SteeringLibrary,
} from "../../../protocol/image-names.ts";
import type { Invocation, OptionValues, Run } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { neutralise } from "../../format.ts";
import { flagOption, textOption, textsOption } from "../../option-values.ts";
import { BASE_DEFAULT, prepareBase } from "../../steering/base.ts";
import { findBuilder, type Builder, type ImageRequest } from "../../steering/builders.ts";
import { registerImages } from "../../steering/register.ts";
import { findSources, hashOfSources, writeBuildContext } from "../../steering/sources.ts";

/** One image, and the predefined names that it stands for. */
interface PlannedImage {
  readonly name: string;
  readonly libraries: readonly SteeringLibrary[];
}

/** `admin steering build`: builds what is missing, then tells the queues. */
export const runBuild: Run = async ({ args, options, context }) => {
  const { output, environment } = context;
  const directory = resolve(
    context.workingDirectory,
    textOption(options, "images") ?? join(context.dataDirectory, "images"),
  );
  const builder = findBuilder(textOption(options, "builder"), environment);
  const sources = findSources();
  const recipe = recipeOf(sources, options);
  const images: Record<string, string> = {};
  mkdirSync(directory, { recursive: true });
  for (const planned of plan(args)) {
    const request: ImageRequest = {
      name: planned.name,
      libraries: planned.libraries.join(" "),
      recipe,
      directory,
      environment,
    };
    const isThere = !flagOption(options, "force") && (await builder.isBuilt(request));
    if (!isThere) await build({ builder, request, sources, options, context });
    const target = builder.target(request);
    output.talk(`✓ ${neutralise(target)} ${isThere ? "is built already" : "built"}`);
    for (const library of planned.libraries) images[predefinedImage(library)] = target;
  }
  const queues = flagOption(options, "noRegister")
    ? []
    : await registerImages(await context.api(), images, textsOption(options, "queue"));
  const items = Object.entries(images).map(([name, image]) => ({ name, image, queues }));
  if (output.json) output.items("SteeringImageList", items);
  else for (const item of items) output.data(`${item.name}\t${neutralise(item.image)}`);
  if (queues.length > 0) {
    output.talk(`Queue ${neutralise(queues.join(", "))} uses them for these names.`);
    output.talk(
      "Next  hyperpilot submit --steeringContainer hyperpilot/optuna --steeringExec 'hpogrid generate -l optuna -n %NUM_POINTS -m %MAX_POINTS -i %IN -o %OUT' ...",
    );
  }
  return EXIT.success;
};

/** Changes with everything that an image is made of; the mirror and the place of the base are none of it. */
function recipeOf(sources: string, options: OptionValues): string {
  const base = textOption(options, "base") ?? BASE_DEFAULT;
  return createHash("sha256")
    .update(`${hashOfSources(sources)}\n${base}`)
    .digest("hex");
}

function plan(words: readonly string[]): readonly PlannedImage[] {
  const names = words.length === 0 ? ["all"] : [...new Set(words)];
  return names.map((name) => {
    if (name === "all") return { name, libraries: STEERING_LIBRARIES };
    const library = STEERING_LIBRARIES.find((one) => one === name);
    if (library !== undefined) return { name, libraries: [library] };
    throw usageError(
      `There is no steering image ${JSON.stringify(name)}.`,
      `One of: ${STEERING_LIBRARIES.join(", ")}, all.`,
    );
  });
}

interface Build extends Pick<Invocation, "options" | "context"> {
  readonly builder: Builder;
  readonly request: ImageRequest;
  readonly sources: string;
}

async function build({ builder, request, sources, options, context }: Build): Promise<void> {
  const { environment, output, workingDirectory } = context;
  const { directory } = request;
  const stopListening = context.onInterrupt(() => undefined);
  const work = mkdtempSync(join(directory, ".build-"));
  try {
    const base = await prepareBase({
      text: textOption(options, "base") ?? BASE_DEFAULT,
      mirror: textOption(options, "mirror") ?? null,
      directory,
      workingDirectory,
      environment,
      talk: (text) => output.talk(text),
    });
    const contextDirectory = join(work, "context");
    writeBuildContext(sources, contextDirectory, environment);
    output.talk(
      `Building ${neutralise(builder.target(request))} with ${builder.name} (${request.libraries}; a minute or two) ...`,
    );
    await builder.build({ ...request, base, context: contextDirectory });
  } finally {
    rmSync(work, { recursive: true, force: true });
    stopListening();
  }
}
