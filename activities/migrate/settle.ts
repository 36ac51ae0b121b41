import type { ClientBase } from "pg";

import type {
  CommittedReport,
  DecisionInput,
  MigrateInput,
  PreparedTransaction,
} from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import type { StepReport } from "../../contract/progress.ts";
import { allEnd } from "../../src/all-end.ts";
import { ShardferryError } from "../../src/errors.ts";
import { plural } from "../../src/format.ts";
import type { IslandFacts } from "../../src/migrations/look.ts";
import {
  attemptOfGid,
  gidsOfRun,
  gidsOfWorkflow,
  ofGid,
  sessionName,
  transactionKey,
} from "../../src/migrations/names.ts";
import { readApplied } from "../../src/postgres/api/ledger.ts";
import { requireSqlApi } from "../../src/postgres/api/sql-api.ts";
import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { literal } from "../../src/postgres/quote.ts";
import type { ActivityAttempt } from "../attempt/attempt.ts";

/** Somebody else has ended a transaction that should have been committed. */
export class PreparedLostError extends ShardferryError {
  constructor({ island, gid }: PreparedTransaction) {
    super(
      "prepared_lost",
      `the prepared transaction '${gid}' on ${island} is gone and was not committed: somebody has rolled it back, or ` +
        `the server was restored. Other islands have the change; run the same command again, which changes the remaining shards`,
    );
  }
}

/** The prepared transactions of this database whose names begin with a given text. */
async function preparedBeginning(client: ClientBase, begin: string): Promise<string[]> {
  const { rows } = await client.query<{ gid: string }>(
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, $1)",
    [begin],
  );
  return rows.map(({ gid }) => gid);
}

/** Ends a prepared transaction, unless it has been ended in the meantime. */
async function end(client: ClientBase, how: "COMMIT" | "ROLLBACK", gid: string): Promise<void> {
  await client.query(`${how} PREPARED ${literal(gid)}`).catch((error: unknown) => {
    if (!hasSqlstate(error, SQLSTATE.undefinedObject)) throw error;
  });
}

/** Commits on every island, each as soon as it responds, and checks the result, since an answer may have been lost. */
export async function commitEverywhere(
  attempt: ActivityAttempt,
  input: DecisionInput,
): Promise<CommittedReport> {
  await everywhere(input.prepared, (transaction, i) => commit(attempt, input, transaction, i));
  const committedAt = Date.now();
  return { text: `committed on ${plural(input.prepared.length, "island")}`, committedAt };
}

async function commit(
  attempt: ActivityAttempt,
  { name, round }: DecisionInput,
  transaction: PreparedTransaction,
  i: number,
): Promise<void> {
  const { island, gid, witness } = transaction;
  await attempt.deps.fault(`before commit ${i + 1}`);
  await attempt.deps.islands.withClient(island, async (client) => {
    await end(client, "COMMIT", gid);
    const { schema } = await requireSqlApi(client, island);
    const [shard] = await readApplied(client, schema, name, [witness]);
    if (shard?.transactionKey !== transactionKey(attempt.runId, round))
      throw new PreparedLostError(transaction);
  });
  attempt.beat({ note: `committed on ${island}` });
  await attempt.deps.fault(`after commit ${i + 1}`);
}

/**
 * Rolls back whatever this run has prepared. Ends its sessions first, because one of them may be about to prepare.
 *
 * @param newest the last attempt whose work is rolled back. An attempt that was frozen must not touch the work of the
 * one that has replaced it: the decision to commit may have been made already.
 */
export async function rollBackEverywhere(
  attempt: ActivityAttempt,
  islands: readonly IslandName[],
  newest = Infinity,
): Promise<StepReport> {
  await everywhere(islands, async (island) => {
    await attempt.endSessions(island, sessionName(attempt.runId));
    await attempt.deps.islands.withClient(island, async (client) => {
      for (const gid of await preparedBeginning(client, gidsOfRun(attempt.workflowId, attempt.runId)))
        if (attemptOfGid(gid) <= newest) await end(client, "ROLLBACK", gid);
    });
    attempt.beat({ note: `rolled back on ${island}` });
  });
  return { text: `rolled back on ${plural(islands.length, "island")}` };
}

/**
 * Does something on all islands at once, lets it finish on those that respond, and only then throws an error. A lost
 * transaction comes last: that error ends the step for good, and must not leave other transactions prepared.
 */
async function everywhere<T>(items: readonly T[], run: (item: T, i: number) => Promise<void>): Promise<void> {
  await allEnd(items.map(run), (error) => (error instanceof PreparedLostError ? 1 : 0));
}

/**
 * Ends what terminated runs of this same migration have left prepared. If a shard of any island has the change from
 * the same transaction, the run had begun to commit, and the commit is completed; otherwise no shard has the change, and
 * it is rolled back. Runs that are not known to have ended are left alone.
 */
export async function settleEarlierRuns(
  attempt: ActivityAttempt,
  input: MigrateInput,
  facts: readonly IslandFacts[],
): Promise<void> {
  const { islands } = attempt.deps;
  const left = await Promise.all(
    facts.map(({ island }) =>
      islands.withClient(island, async (client) =>
        (await preparedBeginning(client, gidsOfWorkflow(attempt.workflowId))).map((gid) => ({ island, gid })),
      ),
    ),
  );
  for (const { island, gid } of left.flat()) {
    const ours = ofGid(gid, attempt.workflowId);
    if (ours === null || ours.runId === attempt.runId) continue;
    if ((await attempt.stateOf(attempt.workflowId, ours.runId)) !== "over") continue;
    const committed = await wasCommitted(attempt, input.name, ours.key, facts);
    await islands.withClient(island, (client) => end(client, committed ? "COMMIT" : "ROLLBACK", gid));
  }
}

async function wasCommitted(
  attempt: ActivityAttempt,
  name: string,
  key: string,
  facts: readonly IslandFacts[],
): Promise<boolean> {
  const found = await Promise.all(
    facts.map(({ island, apiSchema, shards }) =>
      attempt.deps.islands.withClient(island, (client) =>
        readApplied(
          client,
          apiSchema,
          name,
          shards.map(({ schema }) => schema),
        ),
      ),
    ),
  );
  return found.flat().some((shard) => shard.transactionKey === key);
}
