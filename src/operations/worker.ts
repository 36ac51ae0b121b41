import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { ensureListening, resolveTarget, type TemporalTarget } from "../temporal/connection.ts";
import { registerWorker } from "../temporal/state-folder.ts";
import type { WorkerHealth } from "../worker/health.ts";
import type { Say } from "../worker/session.ts";
import type { StepEvent } from "../worker/step-log.ts";
import { dsnsOf } from "./with-islands.ts";

/** A worker that runs until it is stopped. */
export interface ServingWorker {
  readonly target: TemporalTarget;
  readonly islands: readonly IslandName[];
  /** Rejects when the worker fails; never resolves. */
  readonly failed: Promise<never>;
  /** Finds out whether it takes tasks. */
  health(): Promise<WorkerHealth>;
  /** Takes no new tasks, and waits for the running ones to end. */
  stop(): Promise<void>;
}

/**
 * Starts a worker for the configured Temporal server, or for the embedded one.
 *
 * @param onStep called when an attempt of a step begins and ends.
 */
export async function serve(
  settings: Settings,
  say: Say,
  given?: TemporalTarget,
  onStep?: (event: StepEvent) => void,
): Promise<ServingWorker> {
  const dsns = dsnsOf(settings);
  const [target, { startWorker }] = await Promise.all([
    given ?? resolveTarget(settings.env, say),
    import("../worker/worker.ts"),
  ]);
  const { connectionOptions, namespace, embedded } = target;
  await ensureListening(target);
  const worker = await startWorker({ connectionOptions, namespace, settings, dsns, onStep });
  const islands = dsns.map(({ name }) => name);
  const unregister = embedded ? registerWorker(embedded.folder, true, islands) : (): void => undefined;
  const stop = async (): Promise<void> => {
    unregister();
    await worker.stop();
  };
  return { target, islands, failed: worker.failed, health: () => worker.health(), stop };
}
