import type pg from "pg";
import type { ClientBase } from "pg";

import type { ViewVersions } from "../../../contract/move.ts";
import { qualified } from "../../../src/postgres/quote.ts";
import { ensureDurable } from "../../../src/postgres/replication/position.ts";
import {
  type MaterializedView,
  readMaterializedViews,
  searchPathFor,
} from "../../../src/postgres/schema/materialized-views.ts";
import { alive } from "../../attempt/attempt.ts";
import { catchUpWith } from "./caught-up.ts";
import type { MoveStep } from "./step.ts";

/** The statement that brings a materialized view into the state that it has on the source. */
export const refreshSql = (
  schema: string,
  { name, populated }: Pick<MaterializedView, "name" | "populated">,
): string => `REFRESH MATERIALIZED VIEW ${qualified(schema, name)}${populated ? "" : " WITH NO DATA"}`;

/**
 * Refreshes on the destination the materialized views that the source has refreshed since, records their versions in
 * `known`, and returns their names. First the destination catches up, so that it has everything that the REFRESH on the
 * source has seen. Views that read from tables that are copied under the lock are left for that moment.
 */
export async function refreshViews(
  step: MoveStep,
  known: ViewVersions,
  source: ClientBase,
  destination: ClientBase,
): Promise<string[]> {
  const views = await readMaterializedViews(source, step.schema, step.input.plan.lockedCopies);
  const stale = views.filter(({ name, version, late }) => !late && known[name] !== version);
  if (stale.length === 0) return [];
  // Until it is filled for the first time, a copy is as empty as one WITH NO DATA.
  const wanted = stale.filter(({ name, populated }) => populated || name in known);
  if (wanted.length > 0) {
    await catchUpWith(step, source, destination);
    await refresh(step, wanted, await searchPathFor(source, step.schema));
  }
  for (const { name, version } of stale) known[name] = version;
  return wanted.map(({ name }) => name);
}

async function refresh(
  step: MoveStep,
  views: readonly MaterializedView[],
  searchPath: string,
): Promise<void> {
  let now = "";
  const look = alive(() => `refreshing materialized view "${now}"`);
  await step.watched(step.to, look, (onBackend) =>
    // In a session of its own, because the operator's functions run in it.
    step.session(
      step.to,
      { pgOptions: step.attempt.deps.pgOptions, reuse: false },
      async (client: pg.Client) => {
        onBackend(client);
        await step.attempt.ensureCurrent();
        await ensureDurable(client);
        await client.query("SELECT set_config('search_path', $1, false)", [searchPath]);
        for (const view of views) {
          step.attempt.throwIfCancelled();
          now = view.name;
          await client.query(refreshSql(step.schema, view));
        }
      },
    ),
  );
}
