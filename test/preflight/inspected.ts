import { randomUUID } from "node:crypto";

import type { MoveInput, Preflight } from "../../contract/move.ts";
import { Islands } from "../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { inspect } from "../../src/preflight/inspect.ts";
import { told } from "../../src/preflight/some.ts";
import type { TestDatabase } from "../support/index.ts";
import { moveInput } from "../support/move-input.ts";

/** Runs preflight for a move of shard 42 from one database to another. */
export async function inspected(
  from: Pick<TestDatabase, "dsn">,
  to: Pick<TestDatabase, "dsn">,
  overrides: Partial<MoveInput> = {},
): Promise<{ problems: string[]; plan: Preflight | null }> {
  const dsns = [from, to].map(({ dsn }) => parseDsn(dsn, {}));
  const islands = new Islands(dsns);
  try {
    const [source, destination] = dsns.map(({ name }) => name) as [string, string];
    const request = moveInput({ schema: "sh0042", shard: 42, from: source, to: destination, ...overrides });
    const { problems, plan } = await inspect(
      islands,
      { kind: "move", request, shard: 42 },
      `move-${randomUUID()}`,
    );
    return { problems: told(problems), plan };
  } finally {
    await islands.close();
  }
}
