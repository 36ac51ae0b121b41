import { TASK_QUEUE } from "../../contract/names.ts";
import { ShardferryError } from "../errors.ts";
import { connectClient, existingTarget, type Temporal } from "../temporal/connection.ts";
import { explainGone } from "./outcome.ts";

/** Which Temporal there is, and which workers poll it. */
export interface TemporalHealth {
  readonly address: string;
  readonly namespace: string;
  /** True for the embedded server, whose work the commands themselves do. */
  readonly embedded: boolean;
  /** The version of its server; null if it cannot be reached. */
  readonly version: string | null;
  /** The identities of the workers that poll. */
  readonly workers: readonly string[];
  /** Why it cannot be used; null if it can. */
  readonly problem: string | null;
}

/** A worker polls at least once a minute; Temporal remembers it for five minutes. */
const POLLED_WITHIN_MS = 70_000;
/** TASK_QUEUE_TYPE_WORKFLOW of Temporal's API. */
const WORKFLOW_TASKS = 1;

/**
 * Looks at the configured or running Temporal and its workers, and lets `also` ask it for more. Null if none is configured
 * or running; nothing is started.
 */
export async function checkTemporal<T>(
  env: NodeJS.ProcessEnv,
  also: (temporal: Temporal) => Promise<T>,
): Promise<{ health: TemporalHealth; more: T | null } | null> {
  const target = await existingTarget(env);
  if (!target) return null;
  const { address, namespace } = target;
  const base = { address, namespace, embedded: target.embedded !== null };
  try {
    const temporal = await connectClient(target, env, () => undefined);
    try {
      const seen = await look(temporal);
      return { health: { ...base, ...seen, problem: null }, more: await also(temporal) };
    } finally {
      await temporal.close();
    }
  } catch (error) {
    const shown = explainGone(error);
    if (!(shown instanceof ShardferryError) || !shown.code.startsWith("temporal_")) throw shown;
    return { health: { ...base, version: null, workers: [], problem: shown.message }, more: null };
  }
}

async function look({ client, target }: Temporal): Promise<Pick<TemporalHealth, "version" | "workers">> {
  const { workflowService } = client;
  const [{ serverVersion }, { pollers }] = await Promise.all([
    workflowService.getSystemInfo({}),
    workflowService.describeTaskQueue({
      namespace: target.namespace,
      taskQueue: { name: TASK_QUEUE },
      taskQueueType: WORKFLOW_TASKS,
    }),
  ]);
  const now = Date.now();
  const polls = pollers.filter(
    ({ lastAccessTime }) => now - 1000 * Number(lastAccessTime?.seconds ?? 0) < POLLED_WITHIN_MS,
  );
  return {
    version: serverVersion,
    workers: [...new Set(polls.map(({ identity }) => identity ?? "?"))].sort(),
  };
}
