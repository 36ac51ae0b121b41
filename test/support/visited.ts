import type { ClientBase, QueryConfig, QueryResult } from "pg";

/** What EXPLAIN (ANALYZE, FORMAT JSON) tells of a part of a plan; the numbers of rows are averages of its loops. */
interface Node {
  "Actual Loops": number;
  "Actual Rows": number;
  "Rows Removed by Filter"?: number;
  "Rows Removed by Join Filter"?: number;
  "Rows Removed by Index Recheck"?: number;
  Plans?: Node[];
}

const rowsOf = (node: Node): number =>
  node["Actual Loops"] *
    (node["Actual Rows"] +
      (node["Rows Removed by Filter"] ?? 0) +
      (node["Rows Removed by Join Filter"] ?? 0) +
      (node["Rows Removed by Index Recheck"] ?? 0)) +
  (node.Plans ?? []).reduce((sum, part) => sum + rowsOf(part), 0);

/** The rows that a server has gone through. Unlike the time, this does not depend on what else the machine is doing. */
export class Visited {
  readonly byQuery = new Map<string, number>();

  get rows(): number {
    return [...this.byQuery.values()].reduce((sum, rows) => sum + rows, 0);
  }

  /** Returns a session of which each query is also explained. */
  watch<Client extends ClientBase>(client: Client): Client {
    const query = client.query.bind(client) as (sql: unknown, values?: unknown) => Promise<QueryResult>;
    const explained = async (given: string | QueryConfig, values?: unknown[]): Promise<QueryResult> => {
      const sql = typeof given === "string" ? given : given.text;
      if (/^\s*(WITH|SELECT)\b[^;]*$/.test(sql.replaceAll(/--.*$/gm, "")))
        await this.#explain(query, sql, values ?? (given as QueryConfig).values);
      return query(given, values);
    };
    return new Proxy(client, {
      get: (target, name) => (name === "query" ? explained : Reflect.get(target, name, target)) as unknown,
    });
  }

  async #explain(
    query: (sql: string, values?: unknown) => Promise<QueryResult>,
    sql: string,
    values: unknown[] | undefined,
  ): Promise<void> {
    const { rows } = await query(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${sql}`, values);
    const [{ Plan: plan }] = (rows as [{ "QUERY PLAN": [{ Plan: Node }] }])[0]["QUERY PLAN"];
    this.byQuery.set(sql, (this.byQuery.get(sql) ?? 0) + rowsOf(plan));
  }
}
