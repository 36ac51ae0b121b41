// A process that owns servers, for the tests that kill it: prints what it started and waits.
import { startPostgres, startReplica, startTemporal } from "../../src/sandbox/index.ts";

const primary = await startPostgres();
const [replica, temporal] = await Promise.all([startReplica(primary), startTemporal()]);
// Even a server that does not react must not outlive its owner.
process.kill(replica.pid(), "SIGSTOP");
console.log(
  JSON.stringify({ pids: [primary.pid(), replica.pid(), temporal.pid()], dataDir: primary.dataDir }),
);
setInterval(() => {}, 60_000);
