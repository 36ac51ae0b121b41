import { setTimeout as sleep } from "node:timers/promises";

import type { IslandName } from "../../contract/names.ts";
import { ShardferryError } from "../errors.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import {
  type ActiveLedger,
  compareLedgers,
  countMigrations,
  migrationsAtWork,
  readActiveLedger,
} from "./behind.ts";

/** Shards that are being allocated. */
export interface NewShards {
  readonly island: ConnectedIsland;
  readonly schemas: readonly string[];
  /** The migrations that the active shards had when these were created. */
  readonly before: ActiveLedger;
}

interface Hooks {
  say(line: string): void;
}

/** The active shards have received a migration while new ones were allocated. */
class BehindError extends ShardferryError {
  constructor(island: IslandName, schemas: readonly string[], late: readonly string[], activated: boolean) {
    const shards = schemas.length === 1 ? schemas[0]! : `${schemas[0]!} to ${schemas.at(-1)!}`;
    super(
      "behind",
      `${island}: while ${shards} ${schemas.length === 1 ? "was" : "were"} allocated, the active shards received ` +
        `${shown(late)}, and not all of the new ones have it. ${activated ? "They are already active" : "Nothing was activated"}: ` +
        "run the same allocate again, whose command adds what is missing.",
    );
  }
}

/**
 * Refuses new shards that lack a migration that the active ones have received since the new ones were created, after
 * waiting for running migrations. Shards whose command does not use the ledger are not checked. Migrations that the
 * active shards had before (the command may contain them in another form) are only reported.
 */
export async function notBehind(
  islands: readonly ConnectedIsland[],
  { island, schemas, before }: NewShards,
  hooks: Hooks,
  activated: boolean,
): Promise<void> {
  await awaitMigrations([island], schemas, hooks);
  if ((await countMigrations(island.client, schemas)).size === 0) return;
  // A migration of the active shards does not know the new ones.
  await awaitMigrations(islands, null, hooks);
  const had = await countMigrations(island.client, schemas);
  const { late, early } = compareLedgers(schemas.length, had, before, await readActiveLedger(islands));
  if (late.length > 0) throw new BehindError(island.name, schemas, late, activated);
  if (early.length > 0 && !activated)
    hooks.say(
      `${island.name}: all active shards have had ${shown(early)}, but not all of the new ones; shardferry drift shows the differences`,
    );
}

const shown = (names: readonly string[]): string =>
  `the migration${names.length === 1 ? "" : "s"} ${names
    .slice(0, 10)
    .map((name) => `"${name}"`)
    .join(", ")}${names.length > 10 ? `, … (${names.length})` : ""}`;

const LOOK_EVERY_MS = 500;

/** Waits for migrations of the given shards, or of any; a lease that is no longer renewed expires. */
export async function awaitMigrations(
  islands: readonly ConnectedIsland[],
  schemas: readonly string[] | null,
  { say }: Hooks,
): Promise<void> {
  for (let told = ""; ; await sleep(LOOK_EVERY_MS)) {
    const holders = (await migrationsAtWork(islands, schemas)).join(", ");
    if (holders === "") return;
    if (holders !== told)
      say(
        `waiting for ${holders} to end before shards are activated (if one was terminated, start it again)`,
      );
    told = holders;
  }
}
