import { CancellationScope, CancelledFailure, isCancellation, workflowInfo } from "@temporalio/workflow";

import {
  type ChangeInput,
  type IslandShards,
  type LeasedShards,
  MIGRATE_STEPS,
  type MigrateActivities,
  type MigrateInput,
  type MigrateResult,
} from "../contract/migrate.ts";
import { abortedWith } from "./aborted.ts";
import { type Operation, recorded } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { urgent, waiting } from "./proxies.ts";
import { Steering } from "./steering.ts";

/** What is told of the work, even if it fails. */
interface Work {
  operation: Operation;
  /** True once a shard has been changed. */
  changed: boolean;
}

/** Changes the schema of many shards: all of them or none, or each by itself. Writes that into the history of their islands. */
export async function migrate(input: MigrateInput): Promise<MigrateResult> {
  const protocol = new Protocol(new Steering({ schema: "", from: "", to: "" }, MIGRATE_STEPS[input.mode]));
  const { name, islands, startedBy, dryRun } = input;
  const nowhere = { from: null, to: null };
  const work: Work = {
    operation: { kind: "migration", name, schemas: [], islands, ...nowhere, startedBy },
    changed: false,
  };
  try {
    return await recorded(
      protocol.steering,
      work.operation,
      () => changeShards(protocol, input, work),
      ({ applied }) => ({ outcome: dryRun ? "tried" : applied > 0 ? "changed" : "unchanged" }),
    );
  } finally {
    await CancellationScope.nonCancellable(() => release(input, work.changed && !dryRun, protocol));
  }
}

async function changeShards(protocol: Protocol, input: MigrateInput, work: Work): Promise<MigrateResult> {
  const { steering } = protocol;
  try {
    const leased = await protocol.step("lease shards", () => waiting["lease shards"](input));
    work.operation.islands = leased.islands.map(({ island }) => island);
    work.operation.schemas = leased.islands.flatMap(({ schemas }) => schemas);
    let lockedMs = 0;
    for (const [round, islands] of roundsOf(leased.islands, input.batch).entries()) {
      const change: ChangeInput = { migration: input, round, islands };
      const locked = await (input.mode === "all"
        ? changeAll(change, protocol)
        : changeEach(change, protocol));
      lockedMs = Math.max(lockedMs, locked);
      work.changed = true;
    }
    return resultOf(input, leased, lockedMs);
  } catch (error) {
    // If an activity fails for a reason of its own after the request, isCancellation does not count that as a cancellation.
    const aborted = steering.aborted || isCancellation(error);
    steering.phase(aborted ? "aborted" : "failed");
    if (aborted) throw abortedWith(abortText(input));
    throw error;
  }
}

/** One transaction on each island. Whether to commit is decided when all are prepared. Returns how long locks were held. */
async function changeAll(change: ChangeInput, protocol: Protocol): Promise<number> {
  const { name, dryRun } = change.migration;
  const { prepared, lockedAt } = await prepare(change, protocol);
  if (dryRun) return 0;
  // The decision: this step in the history means commit, "roll back everywhere" means the opposite. There is no way
  // back from here, whatever is cancelled.
  const { round } = change;
  const { committedAt } = await CancellationScope.nonCancellable(() =>
    protocol.step("commit everywhere", () => urgent["commit everywhere"]({ name, round, prepared })),
  );
  return committedAt - lockedAt;
}

async function prepare(
  change: ChangeInput,
  protocol: Protocol,
): ReturnType<MigrateActivities["prepare everywhere"]> {
  const { steering } = protocol;
  try {
    const prepared = await protocol.step("prepare everywhere", () => urgent["prepare everywhere"](change));
    // It may have finished before the request to abort reached it.
    if (steering.aborted) throw new CancelledFailure("aborted");
    return prepared;
  } catch (error) {
    steering.phase("aborting");
    const islands = change.islands.map(({ island }) => island);
    // Even if nothing seems to be prepared: the result may have been lost.
    const report = await CancellationScope.nonCancellable(() => urgent["roll back everywhere"]({ islands }));
    steering.tell(report);
    throw error;
  }
}

async function changeEach(change: ChangeInput, protocol: Protocol): Promise<number> {
  await protocol.step("change each shard", () => waiting["change each shard"](change));
  return 0;
}

/** Releases the shards; without debug views to refresh, only the leases have to be returned. */
async function release(input: MigrateInput, refreshViews: boolean, { steering }: Protocol): Promise<void> {
  const succeeded = steering.running;
  if (succeeded) steering.enter("release shards");
  steering.tell(await urgent["release shards"]({ islands: input.islands, refreshViews }), "release shards");
  if (succeeded) steering.phase("done");
}

function resultOf(input: MigrateInput, leased: LeasedShards, lockedMs: number): MigrateResult {
  const { workflowId, runId, startTime } = workflowInfo();
  const { name, hash, mode, dryRun } = input;
  const islands = leased.islands.map(countsOf);
  const applied = sum(islands.map((island) => island.applied));
  const skipped = sum(islands.map((island) => island.skipped));
  const durationMs = Date.now() - startTime.getTime();
  return { workflowId, runId, name, hash, mode, dryRun, islands, applied, skipped, durationMs, lockedMs };
}

/** What each transaction across all islands changes: everything, or with batches the n-th slice of every island. */
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
    : "aborted; shards that were changed stay changed, and the same command continues with the others";

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
