/** A certificate of a test's own, and calls that trust it alone. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { runProgram } from "../../common/child.ts";

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly pem: string;
  readonly fingerprint: string;
}

/** Makes a certificate that signs itself for these addresses. */
export async function makeCertificate(
  directory: string,
  addresses: readonly string[],
): Promise<Certificate> {
  const certificateFile = join(directory, "server.pem");
  const keyFile = join(directory, "server.key");
  const names = ["IP:127.0.0.1", ...addresses.map((address) => `IP:${address}`)].join(",");
  const made = await runProgram(
    [
      "openssl",
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", "2", "-subj", "/CN=hyperpilot test", "-addext", `subjectAltName=${names}`],
      ...["-keyout", keyFile, "-out", certificateFile],
    ],
    { timeoutMs: 30_000 },
  );
  if (made.exitCode !== 0) throw new Error(`openssl: ${made.stderr}`);
  const pem = readFileSync(certificateFile, "utf8");
  return { certificateFile, keyFile, pem, fingerprint: new X509Certificate(pem).fingerprint256 };
}

/** Options of a server with this certificate on all addresses of the machine. */
export function certificateArguments(certificate: Certificate | undefined): string[] {
  if (certificate === undefined) return [];
  const { certificateFile, keyFile } = certificate;
  return ["--host", "0.0.0.0", "--certificate", certificateFile, "--key", keyFile];
}

export interface CallInit {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly text: string;
}

export function fetchTrusting(
  url: string,
  certificate: Certificate,
  { method = "GET", headers = {}, body }: CallInit,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      { method, headers, ca: certificate.pem, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => void (text += chunk));
        response.on("error", reject);
        response.on("end", () => {
          const status = response.statusCode ?? 0;
          resolve({ ok: status >= 200 && status < 300, status, text });
        });
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}
