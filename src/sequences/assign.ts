import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import { RefusedError, ShardferryError } from "../errors.ts";
import { lockNotGranted } from "../postgres/errors/sqlstate.ts";
import { qualified } from "../postgres/quote.ts";
import { lockSequence } from "./hand-over.ts";
import { firstBeyond, lastShard, ownNumbers, type SequenceMode, type SequenceNumbers } from "./own-values.ts";
import { type Answer, furthest, type Question, readUsed, type ShardSequence } from "./read.ts";

/** A sequence that will get values of its own. */
export interface Assignment {
  readonly sequence: ShardSequence;
  readonly numbers: SequenceNumbers;
}

/** Computes the numbers of each sequence; one RefusedError names all sequences without room. */
export function planAssignments(
  mode: SequenceMode,
  shards: readonly { readonly no: number; readonly sequences: readonly ShardSequence[] }[],
): Assignment[] {
  const problems: string[] = [];
  const planned = shards.flatMap(({ no, sequences }) =>
    sequences.flatMap((sequence) => {
      const { schema, name, width } = sequence;
      const numbers = ownNumbers(mode, no, width, sequence.numbers.increment < 0n);
      if (numbers) return [{ sequence, numbers }];
      const last = lastShard(mode, width);
      problems.push(
        last === null
          ? `${schema}.${name}: a smallint has too few values for all shards; make it and its column integer or bigint`
          : `${schema}.${name}: mode ${mode} has room for shards 0 to ${last} in a type of ${width} bytes; ` +
              "use bigint for the sequence and the column, or the other mode",
      );
      return [];
    }),
  );
  if (problems.length > 0) throw new RefusedError(problems);
  return planned;
}

/** True if a sequence already has these numbers. */
export const hasNumbers = ({ sequence: { numbers: now }, numbers }: Assignment): boolean =>
  now.increment === numbers.increment &&
  now.min === numbers.min &&
  now.max === numbers.max &&
  now.start === numbers.start;

/**
 * The next value of a sequence that already has values of its own and is beyond all used ones; null if it has to be
 * changed.
 */
export function nextIfRight(assignment: Assignment, { state, last }: Answer): bigint | null {
  const { increment, min, max, start } = assignment.numbers;
  const next = state.called ? state.value + increment : state.value;
  const isBeyond = last === null || (increment > 0n ? next > last : next < last);
  const inside = (next - start) % increment === 0n && next >= min && next <= max;
  return hasNumbers(assignment) && inside && isBeyond ? next : null;
}

/** What has to be known about a sequence before it is left alone or changed: only what indexes can answer. */
export const questionOf = ({ sequence, numbers }: Assignment): Question => ({
  sequence,
  bounds: numbers,
  columns: sequence.columns.filter(({ indexed }) => indexed),
});

/** Milliseconds for which the lock is waited for: it is short, and only `nextval()` queues behind it. */
const SEQUENCE_LOCK_MS = 500;
const PATIENCE_MS = 30_000;

/**
 * Gives a sequence its own values, beyond all that are used. A session that has called nextval() holds a lock on the
 * sequence until its transaction ends; once we have our lock, there are no values that we cannot see. Others wait for
 * the moment that this takes. Nothing is changed if the sequence is already right.
 * @param beyond a value that is used elsewhere
 * @returns the next value, and whether anything was changed
 */
export async function assignSequence(
  client: ClientBase,
  assignment: Assignment,
  beyond: bigint | null,
): Promise<{ next: bigint; changed: boolean }> {
  const { sequence, numbers } = assignment;
  const slowColumns = sequence.columns.filter(({ indexed }) => !indexed);
  // A table without an index is not read under the lock: ids without an index did not come from the sequence.
  const [slow] =
    slowColumns.length > 0
      ? await readUsed(client, [{ sequence, bounds: numbers, columns: slowColumns }])
      : [];
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const lock = lockSequence(sequence.schema, sequence);
      await client.query(`BEGIN; SET LOCAL lock_timeout TO '${SEQUENCE_LOCK_MS}ms'; ${lock}`);
      return await assignLocked(client, assignment, [beyond, slow?.last ?? null]);
    } catch (error) {
      await client.query("ROLLBACK");
      if (!lockNotGranted(error) || Date.now() > deadline) throw error;
      // Lets those go first who queue behind our lock request.
      await sleep(50 + Math.random() * 200);
    }
  }
}

/** Changes a sequence that is locked in the open transaction, and commits. */
async function assignLocked(
  client: ClientBase,
  assignment: Assignment,
  others: readonly (bigint | null)[],
): Promise<{ next: bigint; changed: boolean }> {
  const { sequence, numbers } = assignment;
  const { increment, min, max, start } = numbers;
  const [answer] = await readUsed(client, [questionOf(assignment)]);
  const next = nextIfRight(assignment, answer!);
  if (next !== null) {
    await client.query("COMMIT");
    return { next, changed: false };
  }
  const taken = [...others, answer!.last].filter((one) => one !== null && one >= min && one <= max);
  const last = furthest(taken as bigint[], increment);
  const first = firstBeyond(numbers, last);
  if (first === null) {
    const text = `${sequence.schema}.${sequence.name} has no values left beyond ${last}; nothing was changed in it`;
    throw new ShardferryError("sequences", text);
  }
  await client.query(
    `ALTER SEQUENCE ${qualified(sequence.schema, sequence.name)} INCREMENT BY ${increment} MINVALUE ${min} MAXVALUE ${max} ` +
      `START WITH ${start} RESTART WITH ${first}; COMMIT`,
  );
  return { next: first, changed: true };
}
