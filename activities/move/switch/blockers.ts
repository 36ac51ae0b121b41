import type { ClientBase } from "pg";

import type { MoveSwitches } from "../../../contract/move.ts";
import { messageOf } from "../../../src/errors.ts";
import { duration } from "../../../src/format.ts";
import { type Blocker, type Ending, endTransaction, stillOpen } from "../../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import type { BlockedTime } from "./blocked-time.ts";

const HIDDEN =
  "the role may not see what that session is: grant it pg_read_all_stats, otherwise it is not ended";

/** A transaction that blocks the switch. */
interface Seen {
  since: number;
  /** What has been tried against it, so that nothing is tried twice. */
  tried: Set<Ending>;
  /** Why it cannot be ended. */
  trouble: string | null;
}

const seenSince = (since: number): Seen => ({ since, tried: new Set(), trouble: null });

/** The transactions that keep the switch from its lock, and since when each of them does, over all attempts of the activity. */
export class Blockers {
  readonly #seen: Map<string, Seen>;
  readonly #after: readonly (readonly [Ending, number])[];

  constructor(
    { cancelBlockersAfterMs, terminateBlockersAfterMs }: Partial<MoveSwitches>,
    readonly blocked: BlockedTime,
  ) {
    const before = Object.entries(blocked.soFar.blockers ?? {});
    this.#seen = new Map(before.map(([transaction, since]) => [transaction, seenSince(since)]));
    const after = [
      ["cancel", cancelBlockersAfterMs],
      ["terminate", terminateBlockersAfterMs],
    ] as const;
    this.#after = after.flatMap(([how, ms]) => (ms == null ? [] : [[how, ms] as const]));
  }

  /** Why one could not be ended. */
  get trouble(): string | null {
    for (const { trouble } of this.#seen.values()) if (trouble !== null) return trouble;
    return null;
  }

  /** Records who blocked the last attempt. */
  saw(blockers: readonly Blocker[]): void {
    for (const blocker of blockers) {
      const { transaction } = blocker;
      if (transaction !== null && this.#seen.has(transaction)) continue;
      this.blocked.met(blocker);
      if (transaction !== null) this.#seen.set(transaction, seenSince(Date.now()));
    }
    this.#keep();
  }

  #keep(): void {
    this.blocked.blockedBy(
      Object.fromEntries([...this.#seen].map(([transaction, { since }]) => [transaction, since])),
    );
  }

  /** Checks which of them are still there, which also shows that the source is alive. */
  async look(client: ClientBase): Promise<Blocker[]> {
    const open = await stillOpen(client, [...this.#seen.keys()]);
    const still = new Set(open.map(({ transaction }) => transaction));
    for (const transaction of this.#seen.keys()) if (!still.has(transaction)) this.#seen.delete(transaction);
    this.#keep();
    if (this.#after.length > 0)
      for (const { transaction, visible } of open)
        if (!visible) this.#seen.get(transaction!)!.trouble = HIDDEN;
    return open;
  }

  /** Ends those whose time is up, each of them once in each way, and returns what was done. */
  async endOverdue(client: ClientBase): Promise<string[]> {
    const done: string[] = [];
    for (const [transaction, seen] of this.#seen)
      for (const [how, ms] of this.#after) {
        const { since, tried } = seen;
        if (tried.has(how) || Date.now() - since < ms) continue;
        const who = await this.#end(client, transaction, seen, how);
        // Idle at the moment: it may run a statement soon.
        if (who === null) continue;
        tried.add(how);
        if (who)
          done.push(
            `${how === "cancel" ? "cancelled" : "terminated"} ${who}, which had blocked the switch for ${duration(Date.now() - since)}`,
          );
      }
    return done;
  }

  async #end(client: ClientBase, transaction: string, seen: Seen, how: Ending): Promise<string | null> {
    try {
      return await endTransaction(client, transaction, how);
    } catch (error) {
      if (!hasSqlstate(error, SQLSTATE.insufficientPrivilege)) throw error;
      seen.trouble = `the role may not ${how} it (${messageOf(error)})`;
      return "";
    }
  }
}
