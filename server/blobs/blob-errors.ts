/** Why a blob was not taken: the same words in every store. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { BlobInfo } from "./blobs.ts";

/** The error of an upload over its bound. */
export function blobTooLarge(maxBytes: number): HyperpilotError {
  return new HyperpilotError({
    code: "E_TOO_LARGE",
    message: `The upload has more than ${maxBytes} bytes.`,
    remedy: "Send less.",
  });
}

/** The error of an upload that is not what was announced. */
export function blobMismatch(expected: BlobInfo, actual: BlobInfo): HyperpilotError {
  return new HyperpilotError({
    code: "E_CHECKSUM",
    message: "The upload is not what was announced.",
    why: `Announced ${expected.sizeBytes} bytes, sha256 ${expected.sha256}; received ${actual.sizeBytes} bytes, sha256 ${actual.sha256}.`,
    remedy: "Send it again.",
  });
}
