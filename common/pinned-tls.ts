/** Trust in one certificate by its fingerprint, in place of the usual authorities. */
import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { HyperpilotError } from "../protocol/errors.ts";

const CHAIN_LENGTH_MAX = 8;

/** A fingerprint as written by people: colons and capitals do not matter. */
export function normalFingerprint(fingerprint: string): string {
  return fingerprint.replaceAll(":", "").toLowerCase();
}

/**
 * Whether the peer's certificate is the pinned one or was signed, step by step, by the one that is. Names of issuers
 * prove nothing, as anybody can write them: each signature is verified. The peer has shown that it holds the first key.
 */
export function isPinned(peer: X509Certificate | undefined, caFingerprint: string): boolean {
  const wanted = normalFingerprint(caFingerprint);
  let certificate = peer;
  for (let length = 0; length < CHAIN_LENGTH_MAX && certificate !== undefined; length += 1) {
    if (normalFingerprint(certificate.fingerprint256) === wanted) return true;
    const issuer: X509Certificate | undefined = certificate.issuerCertificate;
    if (issuer?.ca !== true || !certificate.checkIssued(issuer)) return false;
    if (!certificate.verify(issuer.publicKey)) return false;
    certificate = issuer;
  }
  return false;
}

/** A TLS connection to a server, handed over only when the chain that it shows holds the pinned certificate. */
export function connectPinned(
  url: URL,
  caFingerprint: string,
  done: (error: Error | null, socket: TLSSocket) => void,
): void {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? 443 : Number(url.port);
  // RFC 6066 allows no addresses as server names.
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = connect({ host, port, ...name, rejectUnauthorized: false }, () => {
    socket.off("error", failed);
    if (isPinned(socket.getPeerX509Certificate(), caFingerprint)) return done(null, socket);
    socket.destroy();
    done(notPinned(), socket);
  });
  const failed = (error: Error): void => done(error, socket);
  socket.once("error", failed);
}

/** The error of a server that shows another certificate. */
export function notPinned(): HyperpilotError {
  return new HyperpilotError({
    code: "E_UNAUTHENTICATED",
    message: "The server's certificate is not the one that was pinned.",
    why: "The server has a new certificate, or something else answers in its place.",
    remedy: "Compare the fingerprint with the one that the server's administrator sees.",
  });
}
