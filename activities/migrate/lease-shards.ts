import { isDeepStrictEqual } from "node:util";

import type { LeasedShards, MigrateInput } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import type { StepReport } from "../../contract/progress.ts";
import { messageOf, RefusedError } from "../../src/errors.ts";
import { plural } from "../../src/format.ts";
import { problemsOf } from "../../src/migrations/check.ts";
import { MigrationLateError } from "../../src/migrations/failure.ts";
import { type Choice, chooseShards, type IslandFacts, lookAtIsland } from "../../src/migrations/look.ts";
import { parseMigration } from "../../src/migrations/parse.ts";
import { findLeasingSchema, type Lease, releaseLeases, takeLeases } from "../../src/postgres/api/leases.ts";
import { type Applied, readApplied } from "../../src/postgres/api/ledger.ts";
import { requireSqlApi } from "../../src/postgres/api/sql-api.ts";
import { UnknownIslandError } from "../../src/postgres/islands/connections.ts";
import { type ActivityAttempt } from "../attempt/attempt.ts";
import { describeLeases, evictDead } from "../attempt/leases.ts";
import { POLL_MS } from "../attempt/poll.ts";
import { refreshViews } from "./debug-views.ts";
import { settleEarlierRuns } from "./settle.ts";

/**
 * Finds the shards, and waits until no move is working on any of them; from then on, no move can begin. Refuses what cannot
 * be done, and returns the shards that have not had the migration yet.
 */
export async function leaseShards(attempt: ActivityAttempt, input: MigrateInput): Promise<LeasedShards> {
  const { facts, islands } = await leaseAll(attempt, input).catch((error: unknown) => {
    // The next attempt may get to a worker that knows the island; but not longer than the operator wants to wait.
    if (error instanceof UnknownIslandError && isOverdue(attempt, input))
      throw new MigrationLateError(input.waitSec!, error.message, error);
    throw error;
  });
  await settleEarlierRuns(attempt, input, facts);
  const applied = new Map<IslandName, Applied[]>();
  for (const { island, schemas } of islands) {
    const { apiSchema } = facts.find((one) => one.island === island)!;
    const rows = await attempt.deps.islands.withClient(island, (client) =>
      readApplied(client, apiSchema, input.name, schemas),
    );
    applied.set(island, rows);
    attempt.beat({ note: `read which migrations the shards of ${island} have had` });
  }
  const left = islands.map(({ island, schemas }) => {
    const done = new Set(applied.get(island)!.flatMap(({ schema, complete }) => (complete ? [schema] : [])));
    const todo = schemas.filter((schema) => !done.has(schema));
    return { island, schemas: todo, skipped: schemas.length - todo.length };
  });
  const statements = await parseMigration(input.sql, input.source, input.mode);
  const problems = problemsOf(input, statements, facts, left, applied);
  if (problems.length > 0) throw new RefusedError(problems);
  const todo = left.reduce((sum, { schemas }) => sum + schemas.length, 0);
  const skipped = left.reduce((sum, one) => sum + one.skipped, 0);
  return {
    text: `${plural(todo, "shard")} on ${plural(left.length, "island")} to change${skipped > 0 ? `, ${skipped} already have it` : ""}; no move of these shards can begin`,
    islands: left,
  };
}

/** Whether the time for waiting is over, counted from the first attempt. */
const isOverdue = ({ scheduledAt }: ActivityAttempt, { waitSec }: MigrateInput): boolean =>
  waitSec !== undefined && Date.now() - scheduledAt.getTime() > 1000 * waitSec;

interface Leased {
  facts: IslandFacts[];
  islands: Choice["islands"];
}

/** Takes all leases. The shards are looked for again afterwards: one may have moved before its lease was taken. */
async function leaseAll(attempt: ActivityAttempt, input: MigrateInput): Promise<Leased> {
  for (;;) {
    // The leases belong to the run: an attempt that was frozen must not release those of the one that replaced it.
    if ((await attempt.ensureCurrent()).cancelled) await attempt.awaitCancellation();
    const choice = chooseShards(await lookEverywhere(attempt, input.islands), input.shards);
    const waitingFor = await leaseChosen(attempt, choice);
    if (waitingFor === "") {
      const facts = await lookEverywhere(attempt, input.islands);
      const again = chooseShards(facts, input.shards);
      if (isDeepStrictEqual(again, choice)) return { facts, islands: again.islands };
      await releaseEverywhere(attempt, input.islands);
    } else {
      if (isOverdue(attempt, input)) throw new MigrationLateError(input.waitSec!, waitingFor);
      attempt.beat({ waitingFor });
      // With jitter, so that two migrations that have given way to each other do not keep meeting forever.
      await attempt.pause(POLL_MS * (0.5 + Math.random()));
    }
  }
}

async function lookEverywhere(
  attempt: ActivityAttempt,
  islands: readonly IslandName[],
): Promise<IslandFacts[]> {
  const facts = await Promise.all(
    islands.map((island) =>
      attempt.deps.islands.withClient(island, (client) => lookAtIsland(client, island, attempt.workflowId)),
    ),
  );
  attempt.beat({ note: "found where the shards are" });
  return facts;
}

/**
 * Takes the free leases and keeps them while the moves of other shards finish, so that new moves do not delay it forever.
 * A move waits for one lease only and holds none meanwhile; but two migrations could wait for each other, so one that
 * meets another returns all its leases. Returns in words what it has to wait for.
 */
async function leaseChosen(attempt: ActivityAttempt, choice: Choice): Promise<string> {
  const { islands } = attempt.deps;
  const reasons: string[] = [];
  let anotherMigration = false;
  for (const { island, schemas } of choice.islands) {
    const blocking = await islands.withClient(island, async (client) => {
      const { schema: apiSchema } = await requireSqlApi(client, island);
      const blocked = await takeLeases(client, apiSchema, attempt, schemas, "schema change");
      const alive = await evictDead(attempt, client, apiSchema, blocked);
      // Leases of workflows that have ended are taken in the next round.
      return alive.length === 0 && blocked.length > 0 ? blocked : alive;
    });
    anotherMigration ||= blocking.some(({ kind }) => kind === "schema change");
    if (blocking.length > 0) reasons.push(describeLeases(blocking, island));
  }
  reasons.push(...(await switching(attempt, choice)));
  if (anotherMigration)
    await releaseEverywhere(
      attempt,
      choice.islands.map(({ island }) => island),
    );
  return reasons.join("; ");
}

/** Describes the moves that are in the middle of their switch, whose shards are active nowhere. */
async function switching(attempt: ActivityAttempt, { moving }: Choice): Promise<string[]> {
  const reasons: string[] = [];
  for (const { island, ...lease } of moving) {
    const leases: Lease[] = [lease];
    const alive = await attempt.deps.islands.withClient(island, async (client) => {
      const { schema: apiSchema } = await requireSqlApi(client, island);
      return evictDead(attempt, client, apiSchema, leases);
    });
    reasons.push(describeLeases(alive.length > 0 ? alive : leases, island));
  }
  return reasons;
}

async function releaseEverywhere(attempt: ActivityAttempt, islands: readonly IslandName[]): Promise<void> {
  for (const island of islands) {
    await attempt.deps.islands.withClient(island, async (client) => {
      const apiSchema = await findLeasingSchema(client);
      if (apiSchema !== null) await releaseLeases(client, apiSchema, attempt.runId);
    });
    attempt.beat({ note: `released the shards on ${island}` });
  }
}

/** Milliseconds for which an island that is currently unreachable, or unknown to a worker, is tried again. */
const RELEASE_PATIENCE_MS = 5000;

/**
 * Returns the leases, and brings debug views over several islands up to date, which could not be done inside the
 * prepared transactions. A failure there is reported, but does not hold up the end; nor does an island that stays
 * unreachable: the next workflow that finds a lease takes it over if the workflow that holds it has ended.
 */
export async function releaseShards(
  attempt: ActivityAttempt,
  { islands, refreshViews: refresh }: { islands: IslandName[]; refreshViews: boolean },
): Promise<StepReport> {
  const outcomes = await Promise.allSettled(
    islands.map((island) => attempt.answering(island, () => releaseEverywhere(attempt, [island]))),
  );
  const failed = outcomes.flatMap((outcome, i) =>
    outcome.status === "rejected" ? [{ island: islands[i]!, error: outcome.reason as unknown }] : [],
  );
  const patient = attempt.triedMs < RELEASE_PATIENCE_MS;
  // An island that this worker does not know may be known to the one that gets the next attempt.
  if (failed[0] && patient) throw failed[0].error;
  const failures = failed.map(({ island, error }) => `leases on ${island}: ${messageOf(error)}`);
  const there = islands.filter((_island, i) => outcomes[i]!.status === "fulfilled");
  if (refresh) failures.push(...(await refreshViews(attempt, there, patient)));
  return { text: ["moves can begin again", ...failures.map((failure) => `FAILED: ${failure}`)].join("; ") };
}
