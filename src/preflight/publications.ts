import type { ClientBase } from "pg";

import { qualified } from "../postgres/quote.ts";
import { OBJECT_PREFIX } from "../postgres/replication/names.ts";
import type { Table } from "../postgres/schema/tables.ts";
import type { Check } from "./check.ts";

/**
 * A publication FOR ALL TABLES on the destination publishes the copy, too. There, each UPDATE and DELETE of a table without
 * replica identity fails: those of the apply worker, and after the move those of the application.
 */
export const publishedWithoutIdentity: Check = async ({ source, destination, request, tables, from, to }) => {
  const [name] = await publishingAll(destination);
  // Where the source has such a publication, these statements fail already.
  if (name === undefined || (await publishingAll(source)).length > 0) return [];
  return tables
    .filter(lacksIdentity)
    .map(
      (table) =>
        `table "${table.name}" on ${from.name} has no replica identity, and publication ${name} on ${to.name} publishes all tables: ` +
        `its updates and deletes would fail there; add a primary key, or ALTER TABLE ${qualified(request.schema, table.name)} REPLICA IDENTITY FULL`,
    );
};

const lacksIdentity = ({ kind, unlogged, replicaIdentity, hasIdentity }: Table): boolean =>
  kind === "r" && !unlogged && replicaIdentity !== "f" && !hasIdentity;

async function publishingAll(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT pubname AS name FROM pg_publication
     WHERE puballtables AND (pubupdate OR pubdelete) AND NOT starts_with(pubname, $1) ORDER BY 1`,
    [OBJECT_PREFIX],
  );
  return rows.map(({ name }) => name);
}
