import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import { RefusedError, ShardferryError } from "../errors.ts";
import { qualified } from "../postgres/quote.ts";
import { lockNotGranted } from "../postgres/sqlstate.ts";
import { lockSequence } from "./hand-over.ts";
import { firstBeyond, lastShard, ownNumbers, type SequenceMode, type SequenceNumbers } from "./own-values.ts";
import { type Answer, furthest, type Question, readUsed, type ShardSequence } from "./read.ts";

/** A sequence that is to get values of its own. */
export interface Assignment {
  readonly sequence: ShardSequence;
  readonly numbers: SequenceNumbers;
}

/** Works out the numbers of each sequence; all that have no room are named in one RefusedError. */
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
          : `${schema}.${name}: mode ${mode} has room for the shards 0 to ${last} in a type of ${width} bytes; ` +
              "use bigint for sequence and column, or the other mode",
      );
      return [];
    }),
  );
  if (problems.length > 0) throw new RefusedError(problems);
  return planned;
}

/** True when a sequence has these numbers already. */
export const hasNumbers = ({ sequence: { numbers: now }, numbers }: Assignment): boolean =>
  now.increment === numbers.increment &&
  now.min === numbers.min &&
  now.max === numbers.max &&
  now.start === numbers.start;

/**
 * The next value of a sequence that has values of its own and lies beyond all that are used; null where it is to be
 * changed.
 */
export function nextIfRight(assignment: Assignment, { state, last }: Answer): bigint | null {
  const { increment, min, max, start } = assignment.numbers;
  const next = state.called ? state.value + increment : state.value;
  const isBeyond = last === null || (increment > 0n ? next > last : next < last);
  const inside = (next - start) % increment === 0n && next >= min && next <= max;
  return hasNumbers(assignment) && inside && isBeyond ? next : null;
}

/** What is asked of a sequence before it is left alone or changed: only what indexes answer. */
export const questionOf = ({ sequence, numbers }: Assignment): Question => ({
  sequence,
  bounds: numbers,
  columns: sequence.columns.filter(({ indexed }) => indexed),
});

const LOCK_TIMEOUT_MS = 500;
const PATIENCE_MS = 30_000;

/**
 * Gives a sequence its own values, beyond all that are used. Whoever has called nextval() holds a lock on the sequence
 * until the end of his transaction; with ours, no value is under way that is not seen. Others wait for the moment that
 * it takes. Nothing is changed where it is right already.
 * @param beyond a value that is taken elsewhere
 * @returns the next value, and whether anything was changed
 */
export async function assignSequence(
  client: ClientBase,
  assignment: Assignment,
  beyond: bigint | null,
): Promise<{ next: bigint; changed: boolean }> {
  const { sequence, numbers } = assignment;
  const slowColumns = sequence.columns.filter(({ indexed }) => !indexed);
  // Where a table has to be read, it is not read under the lock: such ids did not come from the sequence.
  const [slow] =
    slowColumns.length > 0
      ? await readUsed(client, [{ sequence, bounds: numbers, columns: slowColumns }])
      : [];
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const lock = lockSequence(sequence.schema, sequence);
      await client.query(`BEGIN; SET LOCAL lock_timeout TO '${LOCK_TIMEOUT_MS}ms'; ${lock}`);
      return await assignLocked(client, assignment, [beyond, slow?.last ?? null]);
    } catch (error) {
      await client.query("ROLLBACK");
      if (!lockNotGranted(error) || Date.now() > deadline) throw error;
      // Whoever queues behind our lock request goes first.
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
