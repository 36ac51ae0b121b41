import { Islands } from "../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { COMPARING, sidesOf, type SidesOfTable } from "../../src/verify/sides.ts";
import { findOperators, readComparedTables } from "../../src/verify/tables.ts";
import type { TestDatabase } from "../support/index.ts";

/** Lends the two sides of each table of a schema, by the table's name. Nothing is replicated. */
export async function withBothSides<T>(
  source: TestDatabase,
  destination: TestDatabase,
  schema: string,
  use: (sides: Map<string, SidesOfTable>) => Promise<T>,
): Promise<T> {
  const dsns = [parseDsn(source.dsn), parseDsn(destination.dsn)];
  const islands = new Islands(dsns);
  const options = { ...COMPARING, applicationName: "shardferry_test" };
  try {
    return await islands.withSessions(
      [
        [dsns[0]!.name, options],
        [dsns[1]!.name, options],
      ],
      async ([a, b]) => {
        await Promise.all([findOperators(a!, schema), findOperators(b!, schema)]);
        const [here, there] = await Promise.all([
          readComparedTables(a!, schema),
          readComparedTables(b!, schema),
        ]);
        const sides = here.map((table, i): [string, SidesOfTable] => [
          table.name,
          sidesOf({ source: table, destination: there[i]! }, a!, b!, () => Promise.resolve()),
        ]);
        return use(new Map(sides));
      },
    );
  } finally {
    await islands.close();
  }
}
