/** Sockets of simulated processes in the place of `ws`. */
import type { WebSocket } from "ws";
import type { LinkOptions } from "../../common/link.ts";
import type { Cluster } from "./cluster.ts";
import type { Process } from "./process.ts";

export function openSocketFrom(
  { network }: Cluster,
  process: Process,
  host: string,
): NonNullable<LinkOptions<never>["openSocket"]> {
  return (url, { headers }) => {
    const { authorization = "" } = headers ?? {};
    const bearer = authorization.replace(/^Bearer /, "");
    return network.connect(process, host, { url, bearer }) as unknown as WebSocket;
  };
}
