/**
 * A worker in a process of its own, which tests kill. At the fault point that the environment names it
 * kills itself, once: the file of that name tells that it has.
 */
import { existsSync, writeFileSync } from "node:fs";

import { parseDsn } from "../../src/postgres/dsn.ts";
import { startWorker } from "../../src/temporal/worker.ts";

const { TEST_ADDRESS, TEST_NAMESPACE, TEST_DSNS, TEST_FAULT, TEST_FAULT_FILE, PGOPTIONS } = process.env;

const worker = await startWorker({
  connectionOptions: { address: TEST_ADDRESS! },
  namespace: TEST_NAMESPACE!,
  settings: { pgOptions: PGOPTIONS },
  dsns: TEST_DSNS!.split(",").map((dsn) => parseDsn(dsn)),
  fault: (point) => {
    if (point === TEST_FAULT && !existsSync(TEST_FAULT_FILE!)) {
      writeFileSync(TEST_FAULT_FILE!, point);
      process.kill(process.pid, "SIGKILL");
    }
    return Promise.resolve();
  },
});
process.once("SIGTERM", () => void worker.stop().then(() => process.exit(0)));
process.send?.("ready");
await worker.failed;
