import { UsageError } from "../errors.ts";
import { plural } from "../format.ts";
import type { Tenant } from "./tenant.ts";

/** Throws if a name is empty: most likely a script variable that was not set. */
export function refuseNameless(tenants: readonly string[]): void {
  if (tenants.some((tenant) => tenant.trim() === ""))
    throw new UsageError("The name of a tenant is empty: give names with visible characters.");
}

/** The tenants to be assigned or pinned. */
export interface Wanted {
  readonly tenants: readonly string[];
  /** The requested shard. */
  readonly shard: number | undefined;
  /** Numbers of the shards to which they may be assigned: that one, or all. */
  readonly candidates: readonly number[];
  readonly pin: boolean;
}

/**
 * Why tenants cannot be assigned or pinned as requested, so that nothing is begun that can be done only for some of them.
 * @param known all tenants
 */
export function problemsOf(known: readonly Tenant[], wanted: Wanted): string[] {
  const { tenants, candidates, pin } = wanted;
  const asked = [...new Set(tenants)];
  const old = known.filter(({ tenant }) => asked.includes(tenant));
  const fresh = asked.filter((name) => !old.some(({ tenant }) => tenant === name));
  return [
    ...old.flatMap((one) => staying(one, known, wanted)),
    ...(fresh.length > 0 ? withoutRoom(fresh, known, candidates, pin) : []),
  ];
}

function staying(
  { tenant, shard }: Tenant,
  known: readonly Tenant[],
  { shard: asked = shard, pin }: Wanted,
): string[] {
  if (asked !== shard)
    return [`Tenant ${tenant} is already in shard ${shard}, and its rows stay where they are.`];
  const others = known.filter((one) => one.shard === shard).length - 1;
  if (!pin || others === 0) return [];
  return [
    `Tenant ${tenant} shares shard ${shard} with ${plural(others, "other")}, and its rows stay where they are: ` +
      "it cannot be pinned.",
  ];
}

function withoutRoom(
  fresh: readonly string[],
  known: readonly Tenant[],
  candidates: readonly number[],
  pin: boolean,
): string[] {
  const inTheWay = known.filter(({ shard, pinned }) => candidates.includes(shard) && (pinned || pin));
  const taken = new Set(inTheWay.map(({ shard }) => shard));
  const needed = pin ? fresh.length : 1;
  if (candidates.length - taken.size >= needed) return [];
  const who = fresh.length === 1 ? `tenant ${fresh[0]}` : `the tenants ${fresh.join(", ")}`;
  const shown = inTheWay
    .slice(0, 5)
    .map(({ tenant, shard, pinned }) => `${tenant} is ${pinned ? "pinned to" : "in"} shard ${shard}`);
  const reason =
    shown.length > 0 ? `${shown.join(", ")}${inTheWay.length > 5 ? ", …" : ""}` : "there are too few shards";
  return [
    `No shard is free for ${who}: ${reason}. ` +
      (pin
        ? "Each pinned tenant needs a shard without tenants."
        : "A new tenant needs a shard that is not pinned.") +
      " Name another shard, or allocate new ones.",
  ];
}
