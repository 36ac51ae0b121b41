import { createHash } from "node:crypto";

import type { ClientBase } from "pg";

import { readSqlFiles } from "./sql-files.ts";

interface OwnFunction {
  name: string;
  /** MD5 of the body, as PostgreSQL computes it from pg_proc.prosrc; null for a function whose body depends on settings. */
  bodyHash: string | null;
}

/** Lists the functions that the SQL API of this version consists of. */
export async function ownFunctions(): Promise<OwnFunction[]> {
  const files = await readSqlFiles("pg-microsharding-up.sql");
  return files.flatMap(({ name, sql }) => {
    const functionName = /^functions\/(\w+)\.sql$/.exec(name)?.[1];
    if (functionName === undefined) return [];
    const body = /^AS \$\$(.*)^\$\$;$/ms.exec(sql)?.[1];
    return [
      {
        name: functionName,
        bodyHash: body === undefined ? null : createHash("md5").update(body).digest("hex"),
      },
    ];
  });
}

/** Lists the functions of the SQL API that a schema has, each with the MD5 of its body (several if overloaded). */
export async function installedFunctions(client: ClientBase, schema: string): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ name: string; hashes: string[] }>(
    `SELECT p.proname AS name, array_agg(md5(p.prosrc)) AS hashes
     FROM pg_proc p
     JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = $1 AND p.proname LIKE 'microsharding\\_%'
     GROUP BY p.proname`,
    [schema],
  );
  return new Map(rows.map(({ name, hashes }) => [name, hashes]));
}
