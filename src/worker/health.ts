import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { messageOf, ShardferryError } from "../errors.ts";

/** What a worker is doing, as its health check shows it. */
export interface WorkerHealth {
  status: "polling" | "draining" | "disconnected";
  reason?: string;
}

/** An HTTP server for health checks. */
export interface HealthServer {
  /** `host:port`, with the port that was chosen if 0 was given. */
  readonly address: string;
  close(): void;
}

/** Serves `/healthz`: 200 while the worker takes tasks, 503 while it does not, with the reason as JSON. */
export async function serveHealth(
  { host, port }: { host: string; port: number },
  check: () => Promise<WorkerHealth>,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    if (request.url !== "/healthz") return void response.writeHead(404).end();
    void check().then((health) => {
      response.writeHead(health.status === "polling" ? 200 : 503, { "content-type": "application/json" });
      response.end(`${JSON.stringify(health)}\n`);
    });
  });
  await listen(server, host, port);
  const { port: chosen } = server.address() as AddressInfo;
  return { address: `${host}:${chosen}`, close: () => (server.close(), server.closeAllConnections()) };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await once(server.listen(port, host), "listening");
  } catch (cause) {
    const text = `Cannot serve the health check at ${host}:${port}: ${messageOf(cause)}. Give --health a free address of this machine`;
    throw new ShardferryError("health_address", text, { cause });
  }
}
