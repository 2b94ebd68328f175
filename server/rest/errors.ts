/** Every failure of a request as one {@link ErrorAnswer}; what is not meant for people stays in the log. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import type { ErrorAnswer } from "../../protocol/rest.ts";
import type { Logger } from "../../common/log.ts";

const RETRY_AFTER_SECONDS = 2;

/** Answers an error; unexpected ones with no more than their request id. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): FastifyReply {
  const known = asHyperpilotError(error);
  if (known.code === "E_INTERNAL") {
    log.error("requestFailed", {
      requestId: request.id,
      route: request.routeOptions.url,
      error: error instanceof Error ? error.stack : errorText(error),
    });
  }
  const { httpStatus: status } = known;
  if (status === 401) reply.header("www-authenticate", "Bearer");
  if (status === 429 || status === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
  const answer: ErrorAnswer = {
    error: { ...known.parts, exit: known.exitCode, requestId: request.id },
  };
  return reply.code(status).send(answer);
}

/** Our errors as they are; the framework's for wrong requests translated; everything else is our fault. */
function asHyperpilotError(error: unknown): HyperpilotError {
  if (error instanceof HyperpilotError) return error;
  const { code, statusCode } = Object(error) as { code?: unknown; statusCode?: unknown };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new HyperpilotError({
      code: "E_TOO_LARGE",
      message: "The body of the request is too large.",
      remedy: "Send less in one request; files are uploaded separately.",
    });
  }
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return new HyperpilotError(
      {
        code: "E_USAGE",
        message: "The request cannot be read.",
        why: errorText(error),
        remedy: "The routes are described in /openapi.json.",
      },
      error,
    );
  }
  return new HyperpilotError(
    {
      code: "E_INTERNAL",
      message: "The server failed to answer this request.",
      why: "This is a fault of the server, not of the request.",
      remedy: "Give the request id to the administrator: the server's log has the details.",
    },
    error,
  );
}
