/** A Parzen mixture over the space: one product kernel per point and one uniform component. */
import type { Parameter } from "../../protocol/search-space.ts";
import { drawCoordinate, snap, type Coordinates } from "./coordinates.ts";
import type { RandomStream } from "./random-stream.ts";

/** Width of kernels for one point, as a share of the range; it shrinks with the number of points (Scott's exponent). */
const WIDTH = 0.2;
const WIDTH_MIN = 0.02;
/** Share of a categorical kernel that is spread over the other categories, for one point. */
const SPREAD = 0.5;

export interface Parzen {
  /** Draws from the mixture. */
  draw(random: RandomStream): Coordinates;
  /** Logarithm of the density, up to a constant that is equal for all mixtures over the space. */
  logDensity(at: Coordinates): number;
}

export function parzen(space: readonly Parameter[], centres: readonly Coordinates[]): Parzen {
  const shrink = Math.max(1, centres.length) ** (-1 / (space.length + 4));
  const width = Math.max(WIDTH_MIN, WIDTH * shrink);
  const spread = SPREAD * shrink;
  return {
    draw(random) {
      const centre = centres[random.below(centres.length + 1)];
      if (centre === undefined) return space.map((parameter) => drawCoordinate(parameter, random));
      return space.map((parameter, index) => drawNear(parameter, centre[index] ?? 0, random));
    },
    logDensity(at) {
      let density = 1;
      for (const centre of centres) density += kernel(centre, at);
      return Math.log(density / (centres.length + 1));
    },
  };

  function drawNear(parameter: Parameter, centre: number, random: RandomStream): number {
    if (parameter.method === "fixed") return 0;
    if (parameter.method === "categorical") {
      return random.next() < spread ? random.below(parameter.categories.length) : centre;
    }
    for (let draw = 0; draw < 20; draw += 1) {
      const position = centre + width * random.normal();
      if (position >= 0 && position <= 1) return snap(parameter, position);
    }
    return centre;
  }

  /** Density of one product kernel relative to the uniform component. */
  function kernel(centre: Coordinates, at: Coordinates): number {
    let product = 1;
    for (let index = 0; index < space.length; index += 1) {
      const parameter = space[index];
      const distance = (at[index] ?? 0) - (centre[index] ?? 0);
      if (parameter === undefined || parameter.method === "fixed") continue;
      if (parameter.method === "categorical") {
        product *= spread + (distance === 0 ? (1 - spread) * parameter.categories.length : 0);
      } else {
        const z = distance / width;
        product *= Math.exp(-0.5 * z * z) / (width * 2.5066282746310002);
      }
    }
    return product;
  }
}
