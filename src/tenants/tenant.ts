import type { IslandName } from "../../contract/names.ts";

/** Where a tenant is. */
export interface Tenant {
  readonly tenant: string;
  /** Number of the shard. */
  readonly shard: number;
  /** True when the shard takes no other tenant. */
  readonly pinned: boolean;
  /** Null where the shard is active on no island. */
  readonly island: IslandName | null;
  readonly schema: string | null;
  /** What `--size-sql` answers for it, and in which unit; without that query neither is there. */
  readonly size?: number;
  readonly unit?: string;
}
