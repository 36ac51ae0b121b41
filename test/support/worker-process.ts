/**
 * A worker in a process of its own, which tests kill. At the fault point that the environment names it
 * does, once, what the environment says: dies of SIGKILL, freezes with SIGSTOP, or holds until told to go on.
 */
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";

import { parseDsn } from "../../src/postgres/dsn.ts";
import { startWorker } from "../../src/temporal/worker.ts";
import { bundleWorkflows } from "./workflow-bundle.ts";

const { TEST_ADDRESS, TEST_NAMESPACE, TEST_DSNS, TEST_FAULT, TEST_FAULT_MODE, TEST_FAULT_FILE, PGOPTIONS } =
  process.env;

/** What the worker tells its parent: that it is ready, or at which fault point it is. */
const tell = (message: string): Promise<void> =>
  new Promise((resolve) => process.send!(message, () => resolve()));

async function fault(point: string): Promise<void> {
  if (point !== TEST_FAULT || existsSync(TEST_FAULT_FILE!)) return;
  writeFileSync(TEST_FAULT_FILE!, point);
  await tell(point);
  if (TEST_FAULT_MODE === "hold") await once(process, "message");
  else if (TEST_FAULT_MODE !== "tell")
    process.kill(process.pid, TEST_FAULT_MODE === "stop" ? "SIGSTOP" : "SIGKILL");
}

const worker = await startWorker({
  connectionOptions: { address: TEST_ADDRESS! },
  namespace: TEST_NAMESPACE!,
  settings: { pgOptions: PGOPTIONS },
  dsns: TEST_DSNS!.split(",").map((dsn) => parseDsn(dsn)),
  workflowBundle: { codePath: await bundleWorkflows() },
  fault,
});
process.once("SIGTERM", () => void worker.stop().then(() => process.exit(0)));
// Without its parent it has nobody to end it.
process.once("disconnect", () => process.exit(1));
await tell("ready");
await worker.failed;
