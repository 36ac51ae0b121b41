import type { Abandoned, CloseInput, CloseReport } from "../../contract/way-back.ts";
import { allEnd } from "../../src/all-end.ts";
import { apiSchemaOf } from "../../src/postgres/api/sql-api.ts";
import { hasLeftSinceArrival } from "../../src/postgres/api/switches.ts";
import { messageWithoutRows } from "../../src/postgres/errors/without-rows.ts";
import {
  disableSubscription,
  dropPublication,
  dropSlots,
  dropSubscription,
} from "../../src/postgres/replication/objects.ts";
import { ensureDurable } from "../../src/postgres/replication/position.ts";
import { deactivate } from "../move/parts/deactivate.ts";
import { lockedRunner } from "../move/parts/drop-replication.ts";
import { releaseShard } from "../move/parts/shard-lease.ts";
import { type MoveStep, WrongDatabaseError } from "../move/parts/step.ts";
import { nameAsLeftover } from "./old-copy.ts";

/**
 * Closes a way back: drops slot, publication and subscription, and makes the old copy what it is after an ordinary move. The
 * two sides do not wait for each other: while one is down, the other is freed. After a rollback there is nothing to close.
 */
export async function closeWayBack(step: MoveStep, input: CloseInput): Promise<CloseReport> {
  const { leftover, deactivateSql, mayHaveLeft, force = false } = input;
  const hasLeft = async (): Promise<boolean> => mayHaveLeft && leftHere(step);
  const here = unlessReplaced(closeHere(step, hasLeft), false);
  const there = mayHaveLeft
    ? here.then((left) => (left ? undefined : closeThere(step, leftover, hasLeft)))
    : closeThere(step, leftover, hasLeft);
  const work = [here, unlessReplaced(there, undefined)] as const;
  const abandoned = force ? await whatFails(step, leftover, work) : [];
  if (abandoned.length > 0) return { ...reportOf(step, abandoned), rolledBack: false, abandoned };
  const [rolledBack] = await allEnd(work);
  if (rolledBack) return { text: `"${step.schema}" has gone back; nothing to close`, rolledBack };
  const dropped = `dropped the slot on ${step.from} and the subscription on ${step.to}`;
  const failures = leftover ? await deactivate(step, step.to, deactivateSql, leftover) : [];
  return { text: [dropped, ...failures.map((failure) => `FAILED: ${failure}`)].join("; "), rolledBack };
}

/** Waits for both sides; returns those that have failed, with what may be left there. */
async function whatFails(
  step: MoveStep,
  leftover: string | null,
  work: readonly [Promise<unknown>, Promise<unknown>],
): Promise<Abandoned[]> {
  const { from, to, schema, replicationName, attempt } = step;
  const copy = leftover === null ? "" : `, and the old copy, named "${schema}" or "${leftover}"`;
  const sides = [
    { island: from, left: `slot and publication ${replicationName}` },
    { island: to, left: `subscription ${replicationName}${copy}` },
  ];
  const outcomes = await Promise.allSettled(work);
  attempt.throwIfCancelled();
  return outcomes.flatMap((outcome, i) =>
    outcome.status === "fulfilled"
      ? []
      : [{ ...sides[i]!, reason: attempt.deps.islands.redact(messageWithoutRows(outcome.reason)) }],
  );
}

const reportOf = ({ from, to }: MoveStep, abandoned: readonly Abandoned[]): { text: string } => {
  const cleaned = [from, to].filter((name) => abandoned.every(({ island }) => island !== name));
  const lines = abandoned.map(
    ({ island, left, reason }) => `${island} was given up (${reason}); if it comes back, it has: ${left}`,
  );
  return { text: [...cleaned.map((island) => `cleaned ${island}`), ...lines].join("; ") };
};

/** In a database other than that of the switch, there is nothing to close. */
const unlessReplaced = <T>(work: Promise<T>, instead: T): Promise<T> =>
  work.catch((error: unknown) => {
    if (error instanceof WrongDatabaseError) return instead;
    throw error;
  });

const leftHere = ({ schema, from, attempt }: MoveStep): Promise<boolean> =>
  attempt.deps.islands.withClient(from, async (client) =>
    hasLeftSinceArrival(client, await apiSchemaOf(client, from), schema),
  );

/** Frees the shard's side. Returns true if the shard has left: its rollback, or a later move, has dropped what there was. */
async function closeHere(step: MoveStep, hasLeft: () => Promise<boolean>): Promise<boolean> {
  const { from, replicationName } = step;
  // Also that of a rollback, which may be about to switch.
  await step.endOrphans(from);
  return step.onSource(async (client) => {
    await releaseShard(step);
    if (await hasLeft()) return true;
    await dropSlots(client, replicationName, null);
    await dropPublication(client, replicationName, lockedRunner(step, client));
    return false;
  });
}

/** Frees the old copy's side. */
async function closeThere(
  step: MoveStep,
  leftover: string | null,
  hasLeft: () => Promise<boolean>,
): Promise<void> {
  const { to, replicationName } = step;
  await step.endOrphans(to);
  if (await hasLeft()) return;
  await step.session(to, {}, async (client) => {
    await Promise.all([step.attempt.ensureCurrent(), ensureDurable(client)]);
    await disableSubscription(client, replicationName);
    await dropSubscription(client, replicationName);
    if (leftover !== null) await nameAsLeftover(step, client, leftover);
  });
}
