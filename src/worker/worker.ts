import { existsSync } from "node:fs";
import { hostname } from "node:os";
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
import { messageOf } from "../errors.ts";
import { packageVersion } from "../machine/package-folder.ts";
import { Islands } from "../postgres/islands/connections.ts";
import { type Dsn } from "../postgres/islands/dsn.ts";
import type { WorkerHealth } from "./health.ts";
import { type StepEvent, watchSteps } from "./step-log.ts";

export interface WorkerSettings {
  connectionOptions: NativeConnectionOptions;
  namespace: string;
  settings: Pick<Settings, "pgOptions">;
  dsns: readonly Dsn[];
  /** Called when an attempt of a step begins and ends. */
  onStep?: ((event: StepEvent) => void) | undefined;
  /** Called before and after each step and each statement of the switch; only tests set it. */
  fault?: (point: FaultPoint) => Promise<void>;
  /** The bundled workflows; bundled on start by default. */
  workflowBundle?: { codePath: string };
}

export interface RunningWorker {
  /** Takes no new tasks, and gives running steps `GRACE` to end or to be left to another worker. */
  stop(): Promise<void>;
  /** Finds out whether it takes tasks. */
  health(): Promise<WorkerHealth>;
  /** Rejects when the worker fails; never resolves. */
  failed: Promise<never>;
}

/** How long a health check waits for Temporal. */
const HEALTH_MS = 2000;
/** How long running activities may continue at a shutdown; then they are cancelled and continue elsewhere. */
const GRACE = "5s";

/** Two for each move of the largest rebalance: its step, and what watches the WAL beside it and must not keep steps out. */
const MOST_WAITS = 2000;

/**
 * Starts a worker on both task queues: short steps and the switch on one, waits of hours on the other, so that a hundred
 * shards being copied never delay a switch.
 */
export async function startWorker(options: WorkerSettings): Promise<RunningWorker> {
  installRuntime();
  const connection = await NativeConnection.connect(options.connectionOptions);
  const islands = new Islands(options.dsns);
  const stopping = new AbortController();
  const activities = createActivities({
    islands,
    pgOptions: options.settings.pgOptions,
    fault: options.fault ?? (() => Promise.resolve()),
    stopping: stopping.signal,
  });
  const common: Omit<WorkerOptions, "taskQueue"> = {
    connection,
    namespace: options.namespace,
    activities,
    // Shown by Temporal beside each task; the SDK's own `pid@host` does not tell what runs there.
    identity: `${hostname()}/${process.pid} shardferry ${packageVersion()}`,
    interceptors: { activity: options.onStep ? [watchSteps(options.onStep)] : [] },
    shutdownGraceTime: GRACE,
    // A step that waits for a lock or a dead network must not keep the worker from stopping.
    shutdownForceTime: "30s",
    // Cancellation reaches an activity only in the response to a heartbeat.
    maxHeartbeatThrottleInterval: "500ms",
    defaultHeartbeatThrottleInterval: "500ms",
  };
  const workers = await Promise.all([
    Worker.create({
      ...common,
      ...workflowCode(options.workflowBundle),
      taskQueue: TASK_QUEUE,
      maxConcurrentActivityTaskExecutions: 100,
      // The next worker takes over the workflows of a dead one after this time instead of 10 s.
      stickyQueueScheduleToStartTimeout: "1s",
    }),
    Worker.create({ ...common, taskQueue: WAIT_QUEUE, maxConcurrentActivityTaskExecutions: MOST_WAITS }),
  ]);
  const runs = workers.map((worker) => worker.run());
  const ended = Promise.all(runs);
  const failed = ended.then(() => new Promise<never>(() => undefined));
  failed.catch(() => undefined);
  return {
    failed,
    async health() {
      if (workers.some((worker) => worker.getState() !== "RUNNING")) return { status: "draining" };
      try {
        // The pollers themselves try again without a word while the connection is lost.
        const call = connection.workflowService.getSystemInfo.bind(connection.workflowService);
        await connection.withDeadline(Date.now() + HEALTH_MS, () => call({}));
        return { status: "polling" };
      } catch (error) {
        return { status: "disconnected", reason: messageOf(error) };
      }
    },
    async stop() {
      stopping.abort();
      for (const worker of workers) if (worker.getState() === "RUNNING") worker.shutdown();
      await Promise.allSettled(runs);
      await islands.close();
      await connection.close();
    },
  };
}

/** Returns the given bundle, or that made at build time if there is one (bundling takes 1-6 s), else the sources. */
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

/** Runs once per process, before any connection. The SDK's logs are for its developers, so only errors are logged. */
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
