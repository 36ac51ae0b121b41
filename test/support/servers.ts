import { startPostgres, startTemporal } from "../../src/sandbox/index.ts";

/** A PostgreSQL server as tests use it; a PostgresServer of the sandbox is one, too. */
export interface TestServer {
  version: number;
  host: string;
  port: number;
  user: string;
  password: string;
  /** The folder of psql, pg_dump and so on. */
  bin: string;
  dsn(database?: string): string;
}

/** The version of the shared islands; tests of other versions start their own servers. */
const SHARED_VERSION = 17;
/** The environment variable that passes the shared servers from the runner to the test files. */
export const SERVERS_VARIABLE = "SHARDFERRY_TEST_SERVERS";

export interface SharedServers {
  a: TestServer;
  b: TestServer;
  temporal: { address: string };
}

/** The database need not survive a crash of the machine: the server takes 30 % less processor time for the same moves. */
const QUICK_DATABASE = ["--sqlite-pragma", "synchronous=OFF"];

let shared: Promise<SharedServers> | undefined;

/** Returns two islands of the same version, shared by all test files: use your own databases, and never stop them. */
export async function testIslands(): Promise<{ a: TestServer; b: TestServer }> {
  return (shared ??= connectOrStart());
}

/** Returns the address of a Temporal server shared by all test files: use your own namespace, and never stop it. */
export async function testTemporal(): Promise<{ address: string }> {
  return (await (shared ??= connectOrStart())).temporal;
}

/** Starts the shared servers, which end with this process. */
export async function startShared(): Promise<SharedServers> {
  const [a, b, temporal] = await Promise.all([
    startPostgres({ version: SHARED_VERSION, name: "island-a" }),
    startPostgres({ version: SHARED_VERSION, name: "island-b" }),
    startTemporal({ args: QUICK_DATABASE }),
  ]);
  return { a, b, temporal };
}

/** The variables for the environment of the test files. */
export function describeShared({ a, b, temporal }: SharedServers): string {
  const data = ({ version, host, port, user, password, bin }: TestServer): Omit<TestServer, "dsn"> => ({
    version,
    host,
    port,
    user,
    password,
    bin,
  });
  return JSON.stringify({ a: data(a), b: data(b), temporal: { address: temporal.address } });
}

/** A test file that is run without the runner starts its own servers. */
async function connectOrStart(): Promise<SharedServers> {
  const described = process.env[SERVERS_VARIABLE];
  if (!described) return startShared();
  const { a, b, temporal } = JSON.parse(described) as SharedServers;
  return { a: withDsn(a), b: withDsn(b), temporal };
}

function withDsn(server: Omit<TestServer, "dsn">): TestServer {
  const { user, password, host, port } = server;
  const dsn = (database = "postgres"): string =>
    `postgresql://${user}:${password}@${host}:${port}/${encodeURIComponent(database)}`;
  return { ...server, dsn };
}
