import {
  CancellationScope,
  CancelledFailure,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from "@temporalio/workflow";

import {
  type ChangeInput,
  type IslandShards,
  type LeasedShards,
  MIGRATE_STEPS,
  type MigrateActivities,
  type MigrateInput,
  type MigrateResult,
} from "../contract/migrate.ts";
import { WAIT_QUEUE } from "../contract/names.ts";
import { COMMON } from "./proxies.ts";
import { Steering } from "./steering.ts";

/**
 * From the first PREPARE to the last COMMIT PREPARED the application waits, so whatever comes after the death of a
 * worker has to come within seconds.
 */
const urgent = proxyActivities<MigrateActivities>({
  ...COMMON,
  heartbeatTimeout: "4s",
  retry: { initialInterval: "100ms", backoffCoefficient: 2, maximumInterval: "1s" },
});

/** Steps that may wait for a move to end, or change ten thousand shards one by one. */
const patient = proxyActivities<MigrateActivities>({
  ...COMMON,
  heartbeatTimeout: "10s",
  taskQueue: WAIT_QUEUE,
});

/** Changes the schema of many shards: all of them or none, or each by itself. */
export async function migrate(input: MigrateInput): Promise<MigrateResult> {
  const steering = new Steering({ schema: "", from: "", to: "" }, MIGRATE_STEPS[input.mode]);
  const { workflowId, runId, startTime } = workflowInfo();
  let changed = false;
  try {
    steering.enter("lease shards");
    const leased = await patient["lease shards"](input);
    steering.tell(leased);
    const rounds = roundsOf(leased.islands, input.batch);
    let lockedMs = 0;
    for (const [round, islands] of rounds.entries()) {
      const change: ChangeInput = { migration: input, round, islands };
      lockedMs = Math.max(
        lockedMs,
        await (input.mode === "all" ? changeAll(change, steering) : changeEach(change, steering)),
      );
      changed = true;
    }
    const counts = leased.islands.map(countsOf);
    return {
      workflowId,
      runId,
      name: input.name,
      hash: input.hash,
      mode: input.mode,
      dryRun: input.dryRun,
      islands: counts,
      applied: sum(counts.map(({ applied }) => applied)),
      skipped: sum(counts.map(({ skipped }) => skipped)),
      durationMs: Date.now() - startTime.getTime(),
      lockedMs,
    };
  } catch (error) {
    // An activity that fails by itself after the request is not "a cancellation" to isCancellation.
    const aborted = steering.aborted || isCancellation(error);
    steering.phase(aborted ? "aborted" : "failed");
    if (aborted) throw new CancelledFailure(abortText(input));
    throw error;
  } finally {
    await CancellationScope.nonCancellable(() => release(input, changed && !input.dryRun, steering));
  }
}

/** One transaction on each island; the commits are decided on when all are prepared. Answers the time of the locks. */
async function changeAll(change: ChangeInput, steering: Steering): Promise<number> {
  const { name, dryRun } = change.migration;
  const islands = change.islands.map(({ island }) => island);
  const prepared = await prepare(change, islands, steering);
  if (dryRun) return 0;
  // The decision: this step in the history means commit, "roll back everywhere" means the opposite. There is no way
  // back from here, whatever is cancelled.
  return CancellationScope.nonCancellable(async () => {
    steering.enter("commit everywhere");
    const { round } = change;
    const committed = await urgent["commit everywhere"]({ name, round, prepared: prepared.prepared });
    steering.tell(committed);
    return committed.committedAt - prepared.lockedAt;
  });
}

async function prepare(
  change: ChangeInput,
  islands: string[],
  steering: Steering,
): ReturnType<MigrateActivities["prepare everywhere"]> {
  try {
    steering.enter("prepare everywhere");
    const prepared = await urgent["prepare everywhere"](change);
    steering.tell(prepared);
    // It may have been done before the request to abort reached it.
    if (steering.aborted) throw new CancelledFailure("aborted");
    return prepared;
  } catch (error) {
    steering.phase("aborting");
    // Also where nothing seems to be prepared: an answer may have been lost.
    const report = await CancellationScope.nonCancellable(() => urgent["roll back everywhere"]({ islands }));
    steering.tell(report);
    throw error;
  }
}

async function changeEach(change: ChangeInput, steering: Steering): Promise<number> {
  steering.enter("change each shard");
  steering.tell(await patient["change each shard"](change));
  return 0;
}

/** Without debug views the leases are all there is to give back. */
async function release(input: MigrateInput, refreshViews: boolean, steering: Steering): Promise<void> {
  const succeeded = steering.running;
  if (succeeded) steering.enter("release shards");
  steering.tell(await urgent["release shards"]({ islands: input.islands, refreshViews }), "release shards");
  if (succeeded) steering.phase("done");
}

/** What each transaction over all islands changes: everything, or with batches the n-th slice of every island. */
function roundsOf(islands: LeasedShards["islands"], batch: number | null): IslandShards[][] {
  const rounds: IslandShards[][] = [];
  for (const { island, schemas } of islands) {
    const size = batch ?? schemas.length;
    for (let start = 0, round = 0; start < schemas.length; start += size, round++)
      (rounds[round] ??= []).push({ island, schemas: schemas.slice(start, start + size) });
  }
  return rounds;
}

const countsOf = ({ island, schemas, skipped }: LeasedShards["islands"][number]) => ({
  island,
  applied: schemas.length,
  skipped,
});

const abortText = ({ mode, batch, dryRun }: MigrateInput): string =>
  dryRun || (mode === "all" && batch === null)
    ? "aborted; no shard was changed"
    : "aborted; shards that were changed stay so, and the same command goes on with the others";

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
