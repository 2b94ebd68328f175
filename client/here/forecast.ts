/** How long a search may take, judged by one evaluation. Pure. */
import type { EffectiveLimits } from "../../protocol/task.ts";

export interface Measured {
  readonly askSeconds: number;
  readonly evaluationSeconds: number;
}

/**
 * Seconds from the first ask to the last loss, when every ask and every evaluation takes as long as the measured ones and as
 * many slots are free as the search may use. With minUnevaluatedPoints 0 an ask waits for all points of the last one; otherwise
 * it goes on beside the evaluations.
 */
export function forecastSeconds(limits: EffectiveLimits, measured: Measured): number {
  const { maxPoints, nParallelEvaluation, nPointsPerIteration, minUnevaluatedPoints } = limits;
  const { askSeconds, evaluationSeconds } = measured;
  const parallel = Math.min(nParallelEvaluation, nPointsPerIteration, maxPoints);
  if (minUnevaluatedPoints > 0)
    return askSeconds + Math.ceil(maxPoints / parallel) * evaluationSeconds;
  const iterations = Math.floor(maxPoints / nPointsPerIteration);
  const rest = maxPoints - iterations * nPointsPerIteration;
  const seconds = (points: number): number =>
    points === 0 ? 0 : askSeconds + Math.ceil(points / parallel) * evaluationSeconds;
  return iterations * seconds(nPointsPerIteration) + seconds(rest);
}

export interface ForecastRequest {
  readonly limits: EffectiveLimits;
  readonly measured: Measured;
  /** Now, milliseconds since 1970. */
  readonly nowMs: number;
  /** IANA name; that of this machine when not given. */
  readonly timeZone?: string;
}

/** "10 points, 2 at a time: about 12 min, so by 17:40 if it started now". */
export function forecastWords(request: ForecastRequest): string {
  const { limits, measured, nowMs } = request;
  const seconds = forecastSeconds(limits, measured);
  const parallel = Math.min(limits.nParallelEvaluation, limits.nPointsPerIteration);
  const size = `${limits.maxPoints} points, ${parallel} at a time`;
  return `${size}: about ${roughly(seconds)}, so by ${clockWords(request, nowMs + seconds * 1_000)} if it started now`;
}

/** Two digits: more would claim to know. */
function roughly(seconds: number): string {
  if (seconds <= 60) return `${Math.max(1, Math.ceil(seconds))} s`;
  const unit = seconds < 7_200 ? 60 : seconds < 172_800 ? 3_600 : 86_400;
  const name = unit === 60 ? "min" : unit === 3_600 ? "h" : "days";
  return `${Math.ceil(seconds / unit)} ${name}`;
}

function clockWords({ nowMs, timeZone }: ForecastRequest, atMs: number): string {
  const format = (ms: number, options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat("en-GB", {
      ...options,
      ...(timeZone === undefined ? {} : { timeZone }),
    }).format(ms);
  const day: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit" };
  const time = format(atMs, { hour: "2-digit", minute: "2-digit" });
  if (format(atMs, day) === format(nowMs, day)) return time;
  return `${format(atMs, { weekday: "short", day: "numeric", month: "short" })} ${time}`;
}
