/** Throw-away servers on 127.0.0.1 for the demo, the tests and the benchmarks. All end with the process that started them. */
export { cacheDir } from "../machine/cache-folder.ts";
export { findPostgres, findTemporal, type Major, MAJORS } from "./find.ts";
export { closeSandbox, sweep, temporaryFolder } from "./folders.ts";
export { ensureServers, type Need } from "./packages.ts";
export {
  type PostgresOptions,
  PostgresServer,
  type Settings,
  startPostgres,
  type StopMode,
} from "./postgres.ts";
export { startReplica } from "./replica.ts";
export { startTemporal, type TemporalOptions, TemporalServer } from "./temporal.ts";
