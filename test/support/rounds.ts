import type { Socket } from "node:net";

import type { Proxy } from "./proxy.ts";

/** What a message of a client has to be to be answered as one: a simple query, or the Sync that ends an extended one. */
const ASKING = new Set(["Q", "S"]);
/** The version in a connection's first message, unless that asks for TLS first. */
const PROTOCOL_3 = 3 << 16;

/**
 * Counts the round trips that each connection through a proxy makes while `work` runs, the fewest first. Several
 * statements that are sent at once are one.
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

/** Reads what one client sends, which comes cut anywhere. */
class Rounds {
  count = 0;
  #rest = Buffer.alloc(0);
  #started = false;

  read(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      // A byte for the type, which the first messages do not have, then the length of what follows, itself included.
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
