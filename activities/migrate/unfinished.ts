import type { ClientBase } from "pg";

import type { MigrateInput } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import { messageOf } from "../../src/errors.ts";
import type { MigrationStatement } from "../../src/migrations/parse.ts";
import { readApplied } from "../../src/postgres/api/ledger.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { readInvalidIndexes } from "../../src/postgres/schema/invalid-indexes.ts";
import type { ActivityAttempt } from "../attempt/attempt.ts";

/** A shard at which a migration of one shard after another has stopped. */
interface Unfinished {
  migration: MigrateInput;
  statements: readonly MigrationStatement[];
  island: IslandName;
  apiSchema: string;
  schema: string;
}

/** Says which statements the shard has had, and which invalid indexes are left in it; nothing if it is as it was. */
export async function describeUnfinished(attempt: ActivityAttempt, shard: Unfinished): Promise<string[]> {
  const { island, schema } = shard;
  if (schema === "") return [];
  try {
    return await attempt.answering(island, () =>
      attempt.deps.islands.withLook(island, (client) => look(client, shard)),
    );
  } catch (error) {
    return [`${schema} on ${island} may be half changed; it cannot be examined: ${messageOf(error)}`];
  }
}

async function look(client: ClientBase, shard: Unfinished): Promise<string[]> {
  const { migration, statements, island, apiSchema, schema } = shard;
  const [had] = await readApplied(client, apiSchema, migration.name, [schema]);
  const count = had?.statements ?? 0;
  const place = ({ start }: MigrationStatement): string =>
    `${migration.source}:${migration.sql.slice(0, start).split("\n").length}`;
  const halfChanged = `${schema} on ${island} is half changed: it has had ${count} of ${statements.length} statements`;
  return [
    ...(count > 0 && count < statements.length
      ? [
          `${halfChanged}, up to ${place(statements[count - 1]!)}, and lacks those from ${place(statements[count]!)} on.`,
        ]
      : []),
    ...(await readInvalidIndexes(client, schema)).map((index) => {
      const again = index.name === statements[count]?.concurrentIndex;
      const name = qualified(schema, index.name);
      return (
        `${schema} on ${island} has the invalid index ${name} of ${index.table}, which is maintained but not used: ` +
        (again
          ? "the same command drops it and builds it again; "
          : "the same command leaves it as it is; ") +
        `DROP INDEX CONCURRENTLY ${name}; removes it, REINDEX INDEX CONCURRENTLY ${name}; completes it.`
      );
    }),
  ];
}
