import { findSqlApi, type SqlApi } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";

/** An island with its SQL API; null if that is not installed there. */
export interface IslandWithApi extends ConnectedIsland {
  readonly api: SqlApi | null;
}

/** Finds the SQL API of each island, which takes two round trips. */
export const withApi = (islands: readonly ConnectedIsland[]): Promise<IslandWithApi[]> =>
  Promise.all(islands.map(async (island) => ({ ...island, api: await findSqlApi(island.client) })));
