import type { Socket } from "node:net";

import type { Proxy } from "./proxy.ts";

/** The client messages that get a response: a simple query, or the Sync that ends an extended one. */
const ASKING = new Set(["Q", "S"]);
/** The version in a connection's first message, unless that message requests TLS. */
const PROTOCOL_3 = 3 << 16;

/**
 * Counts the round trips of each connection through a proxy while `work` is running, the fewest first. Several statements
 * that are sent at once count as one.
 */
export async function countRounds(proxy: Proxy, work: () => Promise<unknown>): Promise<number[]> {
  const connections: Rounds[] = [];
  const count = (socket: Socket): void => {
    const rounds = new Rounds();
    connections.push(rounds);
    socket.on("data", (data: Buffer) => rounds.read(data));
  };
  proxy.server.on("connection", count);
  try {
    await work();
  } finally {
    proxy.server.off("connection", count);
  }
  return connections.map(({ count: made }) => made).sort((a, b) => a - b);
}

/** Reads the messages of one client, which may arrive in arbitrary pieces. */
class Rounds {
  count = 0;
  #rest = Buffer.alloc(0);
  #started = false;

  read(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      // A byte for the type, except in the first messages; then the length of the rest, including itself.
      const type = this.#started ? 1 : 0;
      if (this.#rest.length < type + 4) return;
      const end = type + this.#rest.readInt32BE(type);
      if (this.#rest.length < end) return;
      if (!this.#started) this.#started = this.#rest.readInt32BE(4) === PROTOCOL_3;
      else if (ASKING.has(String.fromCharCode(this.#rest[0]!))) this.count++;
      this.#rest = this.#rest.subarray(end);
    }
  }
}
