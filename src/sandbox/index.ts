/** Throw-away servers on 127.0.0.1 for the demo, the tests and the benchmarks. All of them end with the process that started them. */
export { type Major, MAJORS } from "../postgres/server.ts";
export { findPostgres, listPostgres } from "./find.ts";
export { closeSandbox, sweep, temporaryFolder } from "./folders.ts";
export { ensureServers } from "./packages.ts";
export { PostgresServer, startPostgres } from "./postgres.ts";
export { startReplica } from "./replica.ts";
export { startTemporal, TemporalServer } from "./temporal.ts";
