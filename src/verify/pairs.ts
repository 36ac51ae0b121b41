import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { allEnd } from "../all-end.ts";
import { ShardferryError } from "../errors.ts";
import { COMPARE_SETTINGS } from "./settings.ts";
import { type ComparedTable, findOperators, readComparedTables } from "./tables.ts";

/** A schema on one side. */
export interface Place {
  client: ClientBase;
  island: IslandName;
  schema: string;
}

/** A table and its counterpart. */
export interface PairedTable {
  name: string;
  /** Of the source. */
  bytes: number;
  source: ComparedTable;
  destination: ComparedTable;
}

/** The two sides do not have the same tables with the same columns, so their rows cannot be compared. */
class StructureDiffersError extends ShardferryError {
  constructor(source: Place, destination: Place, what: string) {
    super(
      "structure_differs",
      `"${source.schema}" on ${source.island} and "${destination.schema}" on ${destination.island} do not have the same tables: ${what}. ` +
        "Nothing was compared; `shardferry drift` shows how two shards differ",
    );
  }
}

/** Reads the tables of both sides, in the order of their names. */
export async function readPairs(
  source: Place,
  destination: Place,
  wanted: (table: string) => boolean = () => true,
): Promise<PairedTable[]> {
  const [from, to] = await allEnd([encodingOf(source.client), encodingOf(destination.client)]);
  const read = async ({ client, schema }: Place): Promise<ComparedTable[]> => {
    // The timeout of these sessions is meant for one range.
    await client.query("SET statement_timeout = 0");
    await findOperators(client, schema);
    const tables = await readComparedTables(client, schema, from !== to);
    await client.query(`SET statement_timeout = '${COMPARE_SETTINGS.statement_timeout}'`);
    return tables.filter(({ name }) => wanted(name));
  };
  const [here, there] = await allEnd([read(source), read(destination)]);
  const counterparts = new Map(there.map((table) => [table.name, table]));
  const pairs = here.map((table): PairedTable => {
    const other = counterparts.get(table.name);
    counterparts.delete(table.name);
    if (!other)
      throw new StructureDiffersError(
        source,
        destination,
        `"${table.name}" is missing on ${destination.island}`,
      );
    const [ours, theirs] = [columnsOf(table), columnsOf(other)];
    if (ours !== theirs)
      throw new StructureDiffersError(
        source,
        destination,
        `the columns of "${table.name}" are ${ours} and ${theirs}`,
      );
    return { name: table.name, bytes: table.bytes, source: table, destination: other };
  });
  for (const name of counterparts.keys())
    throw new StructureDiffersError(source, destination, `"${name}" is missing on ${source.island}`);
  return pairs;
}

/** Compares names and order, not types: a type of the shard itself is in a schema of another name. */
const columnsOf = ({ columns }: ComparedTable): string => columns.map(({ name }) => name).join(", ");

async function encodingOf(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ encoding: string }>(
    "SELECT pg_encoding_to_char(encoding) AS encoding FROM pg_database WHERE datname = current_database()",
  );
  return rows[0]!.encoding;
}
