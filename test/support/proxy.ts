import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after } from "node:test";

import type { TestServer } from "./servers.ts";
import { Trips } from "./trips.ts";

/** A network between a client and a server, which tests break and repair. */
export class Proxy {
  readonly #sockets = new Set<Socket>();
  #trips: Trips | null = null;
  #delayMs = 0;
  #swallows = false;
  #until = Infinity;

  private constructor(
    readonly server: Server,
    readonly target: { host: string; port: number },
  ) {
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Starts a proxy that ends with the test file. */
  static async start(target: { host: string; port: number }): Promise<Proxy> {
    const server = createServer();
    const proxy = new Proxy(server, target);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    proxies.add(proxy);
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Notes from now on what clients of a PostgreSQL server ask in new sessions, and when they are answered. */
  noteTrips(): Trips {
    return (this.#trips ??= new Trips());
  }

  /** From now on, no packets of old or new connections arrive, silently. */
  swallow(): void {
    this.#swallows = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Packets arrive again, including those sent meanwhile, as after a retransmission by TCP. */
  mend(): void {
    this.#swallows = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** From now on, each direction takes this long, as between two regions. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Breaks all connections when a client sends the n-th piece of data from now on: mostly, a message or several. */
  cutAt(n: number): void {
    this.#until = n;
  }

  /** True when what `cutAt` has asked for is still to come. */
  get isToCut(): boolean {
    return this.#until > 0;
  }

  /** Breaks all connections; new ones can be opened. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async end(): Promise<void> {
    proxies.delete(this);
    this.cut();
    this.server.close();
    await once(this.server, "close");
  }

  #accept(near: Socket): void {
    const far = connect(this.target);
    const trips = this.#trips?.session();
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("data", (data) => {
        if (socket === near) trips?.asked(data);
        else if (trips) setTimeout(() => trips.answered(data), this.#delayMs);
        if (socket === near && --this.#until === 0) this.cut();
        else if (this.#delayMs === 0) other.write(data);
        else setTimeout(() => other.write(data), this.#delayMs);
      });
      socket.on("error", () => undefined);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        setTimeout(() => other.destroy(), this.#delayMs);
      });
      if (this.#swallows) socket.pause();
    }
  }
}

const proxies = new Set<Proxy>();
after(async () => {
  for (const proxy of proxies) await proxy.end();
});

/** Returns a server as it appears through a proxy. */
export function behind({ port }: Proxy, server: TestServer): TestServer {
  const { user, password } = server;
  const dsn = (database = "postgres"): string =>
    `postgresql://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  return { ...server, host: "127.0.0.1", port, dsn };
}
