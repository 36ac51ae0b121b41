import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { IslandName } from "../../contract/names.ts";
import { count, plural } from "../format.ts";
import { install } from "../postgres/api/install.ts";
import { type Dsn, parseDsn } from "../postgres/islands/dsn.ts";
import { ident } from "../postgres/quote.ts";
import { Application, type ApplicationBalance } from "../sandbox/application.ts";
import { makeServerFolder } from "../sandbox/folders.ts";
import { closeSandbox, ensureServers, type PostgresServer, startPostgres } from "../sandbox/index.ts";
import { openShard, payments, schemaOf } from "./shop.ts";

const DATABASE = "app";
/** The size of each shard; 1 is about 200 MB. */
const SCALES = [0.2, 0.15, 0.1, 0.06, 0.03, 0.01];
/** Writes per second to each shard: enough to see that none is lost, and nothing that a laptop notices. */
const RATE = 5;
/** At the end, writers get this long: a shard that is active nowhere would keep them forever. */
const STOP_MS = 5000;

/** Throw-away islands with shards and an application, which stay until they are closed or this process ends. */
export class Playground {
  private constructor(
    private readonly servers: readonly PostgresServer[],
    private readonly password: string,
    private readonly applications: readonly Application[],
    /** The state folder of its own Temporal server, whose workflows mean nothing without these islands. */
    readonly stateFolder: string,
  ) {}

  /** Starts the islands. All but the last get shards; the last one is empty, so that there is something to balance. */
  static async open(islands: number, say: (line: string) => void): Promise<Playground> {
    await ensureServers("any", say);
    say(`Starting ${islands} PostgreSQL servers (islands) and filling ${plural(SCALES.length, "shard")}`);
    const stateFolder = await makeServerFolder("state");
    const password = randomBytes(8).toString("hex");
    const servers = await Promise.all(
      Array.from({ length: islands }, (_, i) => startPostgres({ name: `island-${i + 1}`, password })),
    );
    await Promise.all(servers.map((server, i) => fill(server, i, islands - 1)));
    const dsns = servers.map((server) => server.dsn(DATABASE));
    const applications = SCALES.map(
      (_, i) => new Application({ ...payments(dsns, schemaOf(i + 1)), writers: 1, rate: RATE }),
    );
    await Promise.all(applications.map((application) => application.start()));
    return new Playground(servers, password, applications, stateFolder);
  }

  get dsns(): Dsn[] {
    return this.servers.map((server) => parseDsn(server.dsn(DATABASE)));
  }

  get islands(): IslandName[] {
    return this.dsns.map(({ name }) => name);
  }

  /** The number of shards. */
  get shards(): number {
    return SCALES.length;
  }

  /** The line that makes a shell work on these islands. */
  get exportLine(): string {
    return `export DSNS=${this.islands.join(",")} PGUSER=postgres PGPASSWORD=${this.password} SHARDFERRY_STATE_DIR=${this.stateFolder}`;
  }

  /** Makes a server, which was started in the state folder, end with this process, however that ends. */
  adopt(pid: number): void {
    writeFileSync(join(this.stateFolder, "server.pid"), String(pid));
  }

  /** Stops the application, and says what has become of its writes. */
  async balance(): Promise<string> {
    const late = sleep(STOP_MS, null, { ref: false });
    const stopped = Promise.all(this.applications.map((application) => application.stop()));
    const balances = await Promise.race([stopped, late]);
    if (!balances) return "The application did not end in time: one of its shards is active nowhere.";
    const sum = (of: (balance: ApplicationBalance) => number): string =>
      count(balances.reduce((total, balance) => total + of(balance), 0));
    const [acknowledged, lost] = [sum((balance) => balance.acknowledged), sum((balance) => balance.lost)];
    const [doubled, failed] = [sum((balance) => balance.doubled), sum((balance) => balance.failures.length)];
    return `The application made ${acknowledged} acknowledged writes: ${lost} lost, ${doubled} doubled. Writes that failed: ${failed}.`;
  }

  /** Removes the servers and their data. */
  async close(): Promise<void> {
    await closeSandbox();
  }
}

/** Installs the SQL API on an island, and gives it every `of`-th shard. */
async function fill(server: PostgresServer, island: number, of: number): Promise<void> {
  await server.withClient((client) => client.query(`CREATE DATABASE ${ident(DATABASE)}`));
  await server.withClient(async (client) => {
    await install(client);
    for (const [i, scale] of SCALES.entries()) {
      if (i % of === island) await openShard(client, i + 1, scale);
    }
  }, DATABASE);
}
