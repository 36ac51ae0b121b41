import { ident } from "../postgres/quote.ts";
import { ignoresOptions } from "../postgres/replication/conninfo.ts";
import type { Check } from "./check.ts";

/**
 * Timeouts of roles and databases end the copying of a table by tablesync, and PostgreSQL starts over, forever. On the
 * destination, its worker has them anyway; on the source, the options of the subscription turn them off, unless the
 * destination is too old to send options.
 */
export const tablesyncLasts: Check = async (context) => {
  const { from, to, islands } = context;
  const problems: string[] = [];
  const limit = Number(to.settings["transaction_timeout"] ?? 0);
  if (limit > 0)
    problems.push(
      `${to.name} has transaction_timeout = ${limit} ms, which would end the copying of a table: set it to 0 for role ${to.role}`,
    );
  if (!ignoresOptions(to.versionNumber)) return problems;
  const { rows } = await islands.withSession(from.name, { inherits: true }, (client) =>
    client.query<{ name: string; ms: string; database: string }>(
      `SELECT name, reset_val AS ms, current_database() AS database FROM pg_settings
       WHERE name IN ('statement_timeout', 'transaction_timeout') AND reset_val <> '0' ORDER BY name`,
    ),
  );
  return [
    ...problems,
    ...rows.map(
      ({ name, ms, database }) =>
        `${from.name} has ${name} = ${ms} ms for role ${from.role}, which would end the copying of a table by tablesync: ` +
        `PostgreSQL ${to.version} on ${to.name} does not send the options of a subscription that turn it off. ` +
        `ALTER ROLE ${ident(from.role)} IN DATABASE ${ident(database)} SET ${name} = 0 on ${from.name}; or --copy-method=direct; ` +
        `or a newer minor version on ${to.name}`,
    ),
  ];
};
