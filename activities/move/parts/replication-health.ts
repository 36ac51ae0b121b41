import type { ClientBase } from "pg";

import { ShardferryError } from "../../../src/errors.ts";
import type { MoveStep } from "./step.ts";
import { ensureUnchanged } from "./structure.ts";

/** Milliseconds between two looks at the catalogs and at the counters. */
const EVERY_MS = 2000;

/** How often the apply worker may fail at the same place; PostgreSQL restarts it every 5 s. */
const MAX_FAILURES = 10;

/** The destination cannot apply a change; only its log knows why. */
class ApplyFailedError extends ShardferryError {
  constructor(step: MoveStep, failures: number) {
    super(
      "apply_failed",
      `the changes of "${step.schema}" cannot be applied on ${step.to}: the worker failed ${failures} times at the same ` +
        `place; the server log there has the reason (look for the subscription ${step.replicationName})`,
    );
  }
}

/**
 * Looks for what keeps a subscription from catching up while somebody waits for it: a lost slot, DDL on the
 * source, a change that cannot be applied. Throws if it never will, and otherwise returns what holds it up.
 */
export class ReplicationTrouble {
  #lookedAt = -Infinity;
  #failures: { count: number; position: string } | undefined;
  #reason: string | undefined;

  constructor(readonly step: MoveStep) {}

  async look(): Promise<string | undefined> {
    const { step } = this;
    await ensureSlotLives(step);
    if (performance.now() - this.#lookedAt < EVERY_MS) return this.#reason;
    this.#lookedAt = performance.now();
    await step.attempt.reading(step.from, () => step.onSource((client) => ensureUnchanged(step, client)));
    this.#reason = await this.#applyTrouble();
    return this.#reason;
  }

  /** Failures are counted from the last time that the destination made progress. */
  async #applyTrouble(): Promise<string | undefined> {
    const { step } = this;
    const [{ count, running }, position] = await Promise.all([
      step.onDestination((client) => readApplyState(client, step.replicationName)),
      step.onSource((client) => confirmedPosition(client, step.replicationName)),
    ]);
    if (this.#failures?.position !== position) this.#failures = { count, position };
    const failures = count - this.#failures.count;
    if (failures > MAX_FAILURES) throw new ApplyFailedError(step, failures);
    if (failures > 0)
      return `the apply worker on ${step.to} failed ${failures} times; the server log there has the reason`;
    return running
      ? undefined
      : `no apply worker is running on ${step.to}; the server log there has the reason`;
  }
}

/** How far the destination has come. Its own pg_replication_origin_status is visible to superusers only. */
async function confirmedPosition(client: ClientBase, slot: string): Promise<string> {
  const { rows } = await client.query<{ position: string | null }>(
    "SELECT confirmed_flush_lsn AS position FROM pg_replication_slots WHERE slot_name = $1",
    [slot],
  );
  return rows[0]?.position ?? "";
}

/** How often applying has failed, as far as the server counts that, and whether an apply worker is running. */
export async function readApplyState(
  client: ClientBase,
  subscription: string,
): Promise<{ count: number; running: boolean }> {
  const { rows } = await client.query<{ running: boolean; counts: boolean }>(
    `SELECT
       EXISTS (SELECT FROM pg_stat_subscription WHERE subname = $1 AND relid IS NULL AND pid IS NOT NULL) AS running,
       to_regclass('pg_catalog.pg_stat_subscription_stats') IS NOT NULL AS counts`,
    [subscription],
  );
  const { running, counts } = rows[0]!;
  // PostgreSQL counts failures since version 15.
  const failures = counts
    ? await client.query<{ count: string }>(
        "SELECT apply_error_count AS count FROM pg_stat_subscription_stats WHERE subname = $1",
        [subscription],
      )
    : { rows: [] };
  return { running, count: Number(failures.rows[0]?.count ?? 0) };
}

/** The source has removed WAL that the move still needs. */
class SlotLostError extends ShardferryError {
  constructor(step: MoveStep, status: string) {
    super(
      "slot_lost",
      `the replication slot ${step.replicationName} on ${step.from} is ${status}: the source has removed WAL that the move still ` +
        `needs; raise max_slot_wal_keep_size there (or idle_replication_slot_timeout) and run the move again`,
    );
  }
}

/** Looks at the slot on the source; throws if it is lost for good. */
async function ensureSlotLives(step: MoveStep): Promise<void> {
  const { rows } = await step.onSource((client) =>
    client.query<{ status: string | null }>(
      "SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = $1",
      [step.replicationName],
    ),
  );
  const status = rows[0] ? rows[0].status : "gone";
  if (status === "lost" || status === "gone") throw new SlotLostError(step, status);
}
