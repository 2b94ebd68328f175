import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { proxyOf } from "../../../pilot/images/registry-http.ts";
import { resolveImage } from "../../../pilot/images/registry.ts";
import { parseImageReference } from "../../../protocol/image-reference.ts";
import { PILOT } from "../../../protocol/limits.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
const MANIFEST = JSON.stringify({ config: { size: 100 }, layers: [{ size: 1_000 }, { size: 5 }] });

/** What a registry of the token protocol does, as the OCI distribution specification and Docker's token page have it. */
describe("Questions to a registry with tokens", () => {
  let server: Server;
  let host: string;
  let seen: { method: string; url: string; authorization: string }[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;

  beforeEach(async () => {
    seen = [];
    server = createServer((request, response) => {
      const { method = "", url = "", headers } = request;
      seen.push({ method, url, authorization: headers.authorization ?? "" });
      answer(request, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const ask = (credential: { username: string; password: string } | null) =>
    resolveImage({
      reference: parseImageReference(`docker://${host}/team/train:3`)!,
      credential,
      environment: {},
      signal: new AbortController().signal,
    });

  function withTokens(realm: () => string) {
    return (request: IncomingMessage, response: ServerResponse): void => {
      const url = new URL(request.url ?? "", `http://${host}`);
      const authorization = request.headers.authorization ?? "";
      if (url.pathname === "/token") {
        const isAnna = authorization === `Basic ${Buffer.from("anna:secret").toString("base64")}`;
        response.statusCode = isAnna ? 200 : 401;
        response.end(JSON.stringify({ access_token: "for-train" }));
      } else if (authorization === "Bearer for-train") {
        response.setHeader("docker-content-digest", DIGEST);
        response.end(MANIFEST);
      } else {
        const challenge = `Bearer realm="${realm()}",service="reg",scope="repository:team/train:pull"`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
      }
    };
  }

  it("fetch a token for this one image with the user's credentials, and learn digest and size", async () => {
    answer = withTokens(() => `http://${host}/token`);
    const image = await ask({ username: "anna", password: "secret" });
    assert.deepEqual(image, {
      digest: DIGEST,
      name: `${host}/team/train@${DIGEST}`,
      isPlainHttp: true,
      sizeBytes: 1_105,
    });
    const tokens = seen.filter(({ url }) => url.startsWith("/token"));
    assert.deepEqual(
      tokens.map(({ url }) => url),
      ["/token?service=reg&scope=repository%3Ateam%2Ftrain%3Apull"],
    );
    const others = seen.filter(({ url }) => !url.startsWith("/token"));
    assert.equal(
      others.some(({ authorization }) => authorization.startsWith("Basic")),
      false,
    );
  });

  it("are denied when the token is", async () => {
    answer = withTokens(() => `http://${host}/token`);
    await assert.rejects(ask(null), { code: "E_IMAGE", imageCause: "denied" });
    await assert.rejects(ask({ username: "anna", password: "wrong" }), { imageCause: "denied" });
  });

  it("send no credentials to an address for tokens that others could listen to", async () => {
    answer = withTokens(() => "http://tokens.example.org/token");
    await assert.rejects(ask({ username: "anna", password: "secret" }), { imageCause: "denied" });
    assert.equal(
      seen.some(({ authorization }) => authorization !== ""),
      false,
    );
  });

  it("follow a redirection, without credentials to another host, and not for ever", async () => {
    let hops = 0;
    answer = (request, response) => {
      if (request.headers.authorization === undefined && hops === 0)
        return void response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      hops += 1;
      const elsewhere = host.replace("127.0.0.1", "localhost");
      response.writeHead(307, { location: `http://${elsewhere}${request.url ?? ""}` }).end();
    };
    await assert.rejects(ask({ username: "anna", password: "secret" }), { code: "E_UNREACHABLE" });
    assert.equal(hops, 1 + PILOT.registryRedirectsMax);
    assert.equal(seen.filter(({ authorization }) => authorization !== "").length, 1);
  });

  it("may be asked again when the registry is ill or takes no more requests", async () => {
    for (const [status, why] of [
      [503, "HTTP 503"],
      [429, "it takes no more requests for now (HTTP 429)"],
    ] as const) {
      answer = (_request, response) => void response.writeHead(status).end();
      await assert.rejects(ask(null), { code: "E_UNREACHABLE", why });
    }
  });

  it("take no answer above the bound", async () => {
    answer = (request, response) => {
      response.setHeader("docker-content-digest", DIGEST);
      response.end(request.method === "HEAD" ? "" : "x".repeat(PILOT.imageManifestBytesMax + 1));
    };
    assert.equal((await ask(null)).sizeBytes, null);
  });
});

describe("The way to a registry", () => {
  const url = new URL("https://registry.example.org/v2/");

  it("goes by the proxy that the environment names, in small letters or large ones", () => {
    assert.equal(proxyOf(url, {}), null);
    assert.equal(proxyOf(url, { https_proxy: "proxy:3128" })?.host, "proxy:3128");
    assert.equal(proxyOf(url, { HTTPS_PROXY: "http://u:p@proxy:3128" })?.host, "proxy:3128");
  });

  it("does not for hosts that the environment excludes, and not on this machine", () => {
    for (const no_proxy of ["registry.example.org", ".example.org", "*", "a.b, *.example.org"])
      assert.equal(proxyOf(url, { https_proxy: "proxy:3128", no_proxy }), null, no_proxy);
    assert.notEqual(proxyOf(url, { https_proxy: "proxy:3128", no_proxy: "ample.org" }), null);
    assert.equal(proxyOf(new URL("http://127.0.0.1:5000"), { https_proxy: "proxy:3128" }), null);
  });
});
