/**
 * A worker in a process of its own, which tests kill. At a given fault point it does once what it was told to: dies of
 * SIGKILL, freezes with SIGSTOP, or holds until it may continue. After it was stopped, the process can become another
 * worker.
 */
import { EventEmitter, once } from "node:events";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { type RunningWorker, startWorker } from "../../src/worker/worker.ts";
import type { Order } from "./worker.ts";

/** Messages to the parent: the worker is ready or stopped, or has reached a fault point. */
const tell = (message: string): Promise<void> =>
  new Promise((resolve) => process.send!(message, () => resolve()));

let worker: RunningWorker | undefined;
const resumed = new EventEmitter();

async function start({ address, namespace, dsns, fault, mode, workflows }: Order): Promise<void> {
  let happened = false;
  worker = await startWorker({
    connectionOptions: { address },
    namespace,
    settings: { pgOptions: process.env["PGOPTIONS"] },
    dsns: dsns.map((dsn) => parseDsn(dsn)),
    workflowBundle: { codePath: workflows },
    fault: async (point) => {
      // Temporal forgets the failure of a superseded attempt, so it is reported here.
      if (point.startsWith("failed ")) await tell(point);
      // The switch of a frozen worker may find that another one has done it, and not fail.
      if (happened && mode === "stop") await tell(point.replace(/^(failed|after) /, "ended "));
      if (point !== fault || happened) return;
      happened = true;
      const goOn = once(resumed, "go on");
      await tell(point);
      if (mode === "hold") await goOn;
      else if (mode !== "tell") process.kill(process.pid, mode === "stop" ? "SIGSTOP" : "SIGKILL");
      if (mode === "stop") await tell("awake");
    },
  });
  await tell("ready");
  await worker.failed;
}

async function stop(): Promise<void> {
  await worker?.stop();
  await tell("stopped");
}

process.on("message", (message: Order | "go on" | "stop") => {
  if (message === "go on") resumed.emit("go on");
  else void (message === "stop" ? stop() : start(message));
});
// Without its parent, nothing would end it.
process.once("disconnect", () => process.exit(1));
