import { existsSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

import {
  DefaultLogger,
  makeTelemetryFilterString,
  NativeConnection,
  type NativeConnectionOptions,
  Runtime,
  Worker,
  type WorkerOptions,
} from "@temporalio/worker";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { createActivities } from "../../activities/index.ts";
import { TASK_QUEUE, WAIT_QUEUE } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { Islands } from "../postgres/islands/connections.ts";
import { type Dsn } from "../postgres/islands/dsn.ts";

export interface WorkerSettings {
  connectionOptions: NativeConnectionOptions;
  namespace: string;
  settings: Pick<Settings, "pgOptions">;
  dsns: readonly Dsn[];
  /** Called before and after each step and each statement of the switch; only tests set it. */
  fault?: (point: FaultPoint) => Promise<void>;
  /** The workflows, bundled before; made here if left out. */
  workflowBundle?: { codePath: string };
}

export interface RunningWorker {
  /** Drains: takes no new tasks, gives running steps `GRACE` to end or to be handed on. */
  stop(): Promise<void>;
  /** Rejects when the worker fails; never resolves. */
  failed: Promise<never>;
}

/** Time that running activities get at a shutdown; then they are cancelled and go on elsewhere. */
const GRACE = "5s";

/**
 * Starts a worker on both task queues: short steps and the switch on the one, waits of hours on the other,
 * so that a hundred shards being copied never keep a switch from its turn.
 */
export async function startWorker(options: WorkerSettings): Promise<RunningWorker> {
  installRuntime();
  const connection = await NativeConnection.connect(options.connectionOptions);
  const islands = new Islands(options.dsns);
  const activities = createActivities({
    islands,
    pgOptions: options.settings.pgOptions,
    fault: options.fault ?? (() => Promise.resolve()),
  });
  const common: Omit<WorkerOptions, "taskQueue"> = {
    connection,
    namespace: options.namespace,
    activities,
    shutdownGraceTime: GRACE,
    // A step that waits for a lock or a dead network must not keep the worker from ending.
    shutdownForceTime: "30s",
    // Cancellation reaches an activity only with a heartbeat's answer.
    maxHeartbeatThrottleInterval: "500ms",
    defaultHeartbeatThrottleInterval: "500ms",
  };
  const workers = await Promise.all([
    Worker.create({
      ...common,
      ...workflowCode(options.workflowBundle),
      taskQueue: TASK_QUEUE,
      maxConcurrentActivityTaskExecutions: 100,
      // The next worker takes over a dead one's workflows after this time instead of 10 s.
      stickyQueueScheduleToStartTimeout: "1s",
    }),
    Worker.create({ ...common, taskQueue: WAIT_QUEUE, maxConcurrentActivityTaskExecutions: 200 }),
  ]);
  const runs = workers.map((worker) => worker.run());
  const ended = Promise.all(runs);
  const failed = ended.then(() => new Promise<never>(() => undefined));
  failed.catch(() => undefined);
  return {
    failed,
    async stop() {
      for (const worker of workers) if (worker.getState() === "RUNNING") worker.shutdown();
      await Promise.allSettled(runs);
      await islands.close();
      await connection.close();
    },
  };
}

/** The bundle given, or that made at build time where there is one (bundling takes 1-6 s), else the sources. */
function workflowCode(
  given: { codePath: string } | undefined,
): Pick<WorkerOptions, "workflowBundle" | "workflowsPath"> {
  if (given) return { workflowBundle: given };
  const extension = extname(fileURLToPath(import.meta.url));
  const bundle = fileURLToPath(new URL("../../workflow-bundle.js", import.meta.url));
  if (extension === ".js" && existsSync(bundle)) return { workflowBundle: { codePath: bundle } };
  return { workflowsPath: fileURLToPath(new URL(`../../workflows/index${extension}`, import.meta.url)) };
}

let runtimeInstalled = false;

/** Before any connection; once a process. The SDK's own logs are for its developers, so only warnings pass. */
function installRuntime(): void {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  Runtime.install({
    logger: new DefaultLogger("ERROR"),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: "ERROR", other: "ERROR" }), forward: {} },
    },
  });
}
