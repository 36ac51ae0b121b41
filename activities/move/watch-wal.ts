import type { ClientBase } from "pg";

import { ShardferryError } from "../../src/errors.ts";
import { bytes } from "../../src/format.ts";
import { keptWal, subscriptionId } from "../../src/postgres/replication/kept-wal.ts";
import { walTeller, watchUntil } from "../attempt/watching.ts";
import type { MoveStep } from "./parts/step.ts";

/** The source keeps more WAL for a move or copy than its operator allows. */
export class WalLimitError extends ShardferryError {
  constructor({ schema, from, to, replicationName, input }: MoveStep, kept: number, limit: number) {
    super(
      "wal_limit",
      `${from} keeps ${bytes(kept)} of WAL for the ${input.kind} of "${schema}" (slot ${replicationName}), more than ` +
        `--max-wal allows (${bytes(limit)}), so the ${input.kind} was undone. It is kept until ${to} has received it: look ` +
        `at what held that up (a pause, a slow copy, ${to} being away), then run it again, or with a higher --max-wal`,
    );
  }
}

/** Asks the destination for its subscription. Nothing waits for that: the destination may not respond at all. */
class SubscriptionLookup {
  #id: string | null = null;
  #asking = false;

  constructor(readonly step: MoveStep) {}

  /** Returns the id if it is known. Until then, the slots of tablesync workers do not count. */
  id(): string | null {
    if (this.#id === null && !this.#asking) void this.#ask();
    return this.#id;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const { step } = this;
    this.#id = await step
      .onDestination((client) => subscriptionId(client, step.replicationName))
      .catch(() => null);
    this.#asking = false;
  }
}

/**
 * Watches, alongside the steps, how much WAL the source keeps for this move or copy, until it is cancelled. Only the source
 * has to respond. Throws once it is more than `--max-wal`.
 */
export async function watchWal(step: MoveStep): Promise<never> {
  // Missing in the input of moves that were begun before there was a limit.
  const limit = step.input.request.maxWalBytes ?? Infinity;
  const subscription = new SubscriptionLookup(step);
  const tell = walTeller(step.attempt, limit);
  return watchUntil<never>(step.attempt, async () => {
    const walKeptBytes = await step.onSource((client) => look(step, client, subscription.id()));
    step.attempt.beat({ walKeptBytes });
    tell(walKeptBytes);
    if (walKeptBytes > limit) throw new WalLimitError(step, walKeptBytes, limit);
    return null;
  });
}

const look = (step: MoveStep, client: ClientBase, subscription: string | null): Promise<number> =>
  keptWal(client, step.replicationName, {
    subscription,
    systemIdentifier: step.input.plan.destination.systemIdentifier,
  });
