import type { IslandName } from "../../contract/names.ts";

/** Where a tenant is. */
export interface Tenant {
  readonly tenant: string;
  /** The number of the shard. */
  readonly shard: number;
  /** True if the shard takes no other tenant. */
  readonly pinned: boolean;
  /** Null if the shard is not active on any island. */
  readonly island: IslandName | null;
  readonly schema: string | null;
  /** What `--size-sql` returns for it, and the unit; both are missing without that query. */
  readonly size?: number;
  readonly unit?: string;
}
