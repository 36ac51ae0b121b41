import type pg from "pg";

import { schemaFingerprint } from "../../src/postgres/fingerprint.ts";
import { type Blocker, blockersOf, LOCK_TIMEOUT_MS } from "../../src/postgres/locks.ts";
import { ident, qualified } from "../../src/postgres/quote.ts";
import type { Step } from "../context.ts";
import { SchemaChangedError } from "../create-structure.ts";
import { copyRows } from "../direct-copy.ts";
import { flushedPosition, waitUntilApplied } from "./catch-up.ts";
import { readSequenceValues, type SequenceValue, type SwitchFacts } from "./facts.ts";
import { arrive, type BookEntry, completeSchema, leave, setSequences } from "./sides.ts";

/** Everything an attempt needs, opened and read before the lock: nothing is resolved or planned under it. */
export interface SwitchPlan {
  step: Step;
  facts: SwitchFacts;
  /** Holds the lock. Its idle timeout is short: a vanished worker frees writers within seconds. */
  source: pg.Client;
  /** Second session on the source: flushes WAL, and sees who blocks the first. */
  sourceObserver: pg.Client;
  destination: pg.Client;
  /** Second session on the destination, which watches the apply worker. */
  destinationObserver: pg.Client;
  sourceLib: string;
  destinationLib: string;
  entry: BookEntry;
  leftover: string;
  maxWriteBlockMs: number;
}

export type AttemptResult =
  { done: true; blockedMs: number } | { done: false; blockedMs: number; reason: string };

/**
 * One attempt of the switch. Writers are blocked from the grant of the lock to the commit on the source:
 *
 *   1. lock tables and sequences      source        all or nothing, within 100 ms
 *   2. read position and sequences    source        nothing changed since the structure was copied
 *   3. wait until applied             destination
 *   4. complete the destination       destination   open transaction: sequences, triggers, active
 *   5. leave                          source        inactive, recorded, fenced, renamed
 *   6. commit                         source        the point of no return
 *   7. commit                         destination   active again
 *
 * Until 6 any failure means that nothing has happened; after it the next attempt rolls forward.
 */
export async function attemptSwitch(plan: SwitchPlan): Promise<AttemptResult> {
  const { step, source, destination } = plan;
  const startedAt = performance.now();
  const blockedMs = (): number => Math.round(performance.now() - startedAt);

  const blockers = await at(step, "lock", () => lockEverything(plan));
  if (blockers) return { done: false, blockedMs: blockedMs(), reason: blockers };
  const deadline = Date.now() + plan.maxWriteBlockMs;
  try {
    const [position, sequences] = await at(step, "read", () => readUnderLock(plan));
    const applied = await at(step, "wait", () =>
      waitUntilApplied(plan.destinationObserver, step.names.subscription, position, deadline, () =>
        source.query("SELECT"),
      ),
    );
    if (!applied) {
      await source.query("ROLLBACK");
      return {
        done: false,
        blockedMs: blockedMs(),
        reason: `the subscription to catch up: not within ${plan.maxWriteBlockMs} ms`,
      };
    }
    await at(step, "complete destination", () => completeDestination(plan, sequences));
    await at(step, "leave source", () =>
      source.query(
        leave(plan.sourceLib, plan.entry, step.to, plan.leftover, position, plan.facts.reachable).join(";\n"),
      ),
    );
    await at(step, "commit source", () => source.query("COMMIT"));
    const blocked = blockedMs();
    await at(step, "commit destination", () => destination.query("COMMIT"));
    return { done: true, blockedMs: blocked };
  } catch (error) {
    // Ends both transactions if they are still open; when the commit went through, these change nothing.
    await Promise.allSettled([source.query("ROLLBACK"), destination.query("ROLLBACK")]);
    throw error;
  }
}

/** Runs one statement of the switch between its two fault points. */
async function at<T>(step: Step, name: string, run: () => Promise<T>): Promise<T> {
  await step.deps.fault(`before ${name}`);
  const result = await run();
  await step.deps.fault(`after ${name}`);
  return result;
}

/**
 * Takes all locks in one round trip, in a fixed order, or none: answers who blocks. EXCLUSIVE lets readers
 * through. ALTER SEQUENCE to the owner that it has changes nothing, but is the one way to lock a sequence,
 * whose nextval() no table lock stops. The statement timeout bounds the sum of the waits, during which the
 * application's writers queue behind us.
 */
async function lockEverything(plan: SwitchPlan): Promise<string | null> {
  const { step, facts, source } = plan;
  const tables = facts.tables.map((table) => `ONLY ${qualified(step.schema, table.name)}`);
  const timeout = LOCK_TIMEOUT_MS + Math.round(tables.length / 5);
  const sql = [
    "BEGIN",
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `SET LOCAL statement_timeout = ${timeout}`,
    ...(tables.length > 0 ? [`LOCK TABLE ${tables.join(", ")} IN EXCLUSIVE MODE`] : []),
    ...facts.sequences.map(
      ({ name, owner }) => `ALTER SEQUENCE ${qualified(step.schema, name)} OWNER TO ${ident(owner)}`,
    ),
    "SET LOCAL statement_timeout = 0",
  ].join(";\n");
  const locked = source.query(sql).then(
    () => null,
    (error: Error) => error,
  );
  const watched = whoBlocks(plan, locked);
  const error = await locked;
  const blockers = await watched;
  if (error === null) return null;
  await source.query("ROLLBACK");
  const { code } = error as { code?: string };
  const waitedInVain = code === "55P03" || code === "57014" || code === "40P01";
  if (!waitedInVain) throw error;
  return blockers.length > 0
    ? blockers.map((blocker) => blocker.text).join("; ")
    : "a lock on the shard's tables";
}

/** Looks, halfway through the wait, who blocks; an autovacuum gives way when told, but waits a second by itself. */
async function whoBlocks(plan: SwitchPlan, locked: Promise<unknown>): Promise<Blocker[]> {
  const waiting = await Promise.race([
    locked.then(() => false),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(true), LOCK_TIMEOUT_MS / 2)),
  ]);
  if (!waiting) return [];
  const pid = (plan.source as unknown as { processID: number }).processID;
  const blockers = await blockersOf(plan.sourceObserver, pid);
  for (const blocker of blockers) {
    if (blocker.cancellable) await plan.sourceObserver.query("SELECT pg_cancel_backend($1)", [blocker.pid]);
  }
  return blockers;
}

/** The position that the destination has to reach, and the values of the sequences; nobody can write now. */
async function readUnderLock(plan: SwitchPlan): Promise<[string, SequenceValue[]]> {
  const { step, facts, source } = plan;
  const flushed = flushedPosition(plan.sourceObserver);
  // Whichever of the two fails first is thrown; the other must not count as unhandled.
  flushed.catch(() => undefined);
  if ((await schemaFingerprint(source, step.schema)) !== step.input.fingerprint) {
    throw new SchemaChangedError(step.schema, step.from, false);
  }
  return [await flushed, await readSequenceValues(source, step.schema, facts)];
}

/** Opens the destination's transaction and does everything in it but the commit. */
async function completeDestination(plan: SwitchPlan, sequences: readonly SequenceValue[]): Promise<void> {
  const { step, facts, destination } = plan;
  await destination.query("BEGIN");
  await copyLocked(step, facts, plan.source, destination, step.schema);
  const sql = [
    ...setSequences(step.schema, sequences),
    ...completeSchema(step.schema, facts),
    ...arrive(plan.destinationLib, plan.entry, step.from),
  ];
  await destination.query(sql.join(";\n"));
}

/** Copies the tables that replication cannot carry (unlogged, or without any comparable identity). */
export async function copyLocked(
  step: Step,
  facts: SwitchFacts,
  source: pg.Client,
  destination: pg.Client,
  sourceSchema: string,
): Promise<void> {
  const wanted = new Set(step.input.plan.lockedCopies);
  for (const table of facts.tables.filter(({ name, kind }) => kind === "r" && wanted.has(name))) {
    const target = qualified(step.schema, table.name);
    await destination.query(`TRUNCATE ONLY ${target}`);
    const counters = { bytes: 0, tuples: 0 };
    await copyRows(
      source,
      destination,
      { from: qualified(sourceSchema, table.name), to: target },
      table,
      false,
      counters,
    );
  }
}
