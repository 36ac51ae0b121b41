import { WAY_BACK_TURNS, wayBackWorkflowId } from "../../contract/way-back.ts";
import { ident } from "../postgres/quote.ts";
import { subscriptionConninfo } from "../postgres/replication/conninfo.ts";
import { namesBegin } from "../postgres/replication/names.ts";
import type { Check, CheckContext } from "./check.ts";
import {
  destinationCapacity,
  preparedTransactions,
  sourceCapacity,
  subscriberReachesPublisher,
} from "./servers.ts";
import { needsLockedCopy } from "./shard.ts";
import { some } from "./some.ts";
import { workerSettings } from "./worker-settings.ts";

/** A shard with an open way back stays where it is until that is closed: its old copy follows this place only. */
export const noWayBackOpen: Check = async ({ kind, request, source, from }) => {
  if (kind === "copy") return [];
  const begins = WAY_BACK_TURNS.map((turn) =>
    namesBegin(wayBackWorkflowId(request.schema, turn), request.schema),
  );
  const { rowCount } = await source.query(
    `SELECT FROM pg_replication_slots
     WHERE database = current_database() AND (starts_with(slot_name, $1) OR starts_with(slot_name, $2))`,
    begins,
  );
  return rowCount === 0
    ? []
    : [
        `"${request.schema}" on ${from.name} has an open way back: use it (shardferry rollback), or close it first (shardferry finish)`,
      ];
};

/** What a way back needs, in the other direction, so that a move whose way back would not work does not begin. */
export const wayBackWorks: Check = async (context) => {
  if (!context.reversible) return [];
  const back = turned(context);
  const { from, islands } = back;
  const conninfo = subscriptionConninfo(islands.dsn(from.name), from.identity.serverMajor, "shardferry");
  const problems = [
    ...lockedTables(context),
    ...(await originRights(context)),
    ...(await sourceCapacity(back)),
    ...(await destinationCapacity(back)),
    ...(await workerSettings(back)),
    ...(await preparedTransactions(back)),
    ...(await subscriberReachesPublisher(conninfo)(back)),
  ];
  return problems.map((text) => `the way back would not work (--reversible): ${text}`);
};

const turned = (context: CheckContext): CheckContext => ({
  ...context,
  source: context.destination,
  destination: context.source,
  from: context.to,
  to: context.from,
  request: { ...context.request, from: context.request.to, to: context.request.from },
});

/** A table that is copied under the lock is not replicated, and what the old copy has of it grows old. */
const lockedTables = ({ tables }: CheckContext): string[] => {
  const locked = tables.filter((table) => table.kind === "r" && needsLockedCopy(table));
  return locked.length === 0
    ? []
    : [
        `what is copied under the lock cannot follow: ${some(
          locked.map(({ name }) => `"${name}"`),
          "table",
        )}`,
      ];
};

async function originRights({ source, from }: CheckContext): Promise<string[]> {
  const { rows } = await source.query<{ allowed: boolean }>(
    "SELECT has_function_privilege('pg_replication_origin_advance(text, pg_lsn)', 'EXECUTE') AS allowed",
  );
  return rows[0]!.allowed
    ? []
    : [
        `role ${from.role} may not set where replication begins on ${from.name}: GRANT EXECUTE ON FUNCTION ` +
          `pg_replication_origin_advance(text, pg_lsn) TO ${ident(from.role)}`,
      ];
}
