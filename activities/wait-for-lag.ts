import type { ClientBase } from "pg";

import { replicaLags } from "../src/postgres/lag.ts";
import type { ReplicaLag, StepReport } from "../workflows/contract.ts";
import { POLL_MS, type Step } from "./context.ts";
import { ensureSlotLives } from "./slot.ts";

/**
 * Waits until every physical replica of both islands, and if asked for the subscription, is less than the
 * given seconds behind. The subscription's lag is measured: how long ago did the source stand where the
 * destination stands now.
 */
export async function waitForLag(step: Step, subscription: boolean): Promise<StepReport> {
  const limit = step.input.request.maxReplicationLagSec;
  const own = new SubscriptionLag(step);
  for (let look = 0; ; look++) {
    if (subscription) await ensureSlotLives(step);
    const lags = [
      ...(await step.onSource((client) => replicaLags(client, step.from))),
      ...(await step.onDestination((client) => replicaLags(client, step.to))),
      ...(subscription ? [await own.measure()] : []),
    ];
    const behind = lags.filter((lag) => !(lag.seconds <= limit));
    if (behind.length === 0) return { text: describe(lags, limit) };
    step.beat({
      lags: lags.slice(0, 20),
      waitingFor: `replication lag below ${limit} s: ${behind.map(shown).join(", ")}`,
    });
    await step.pause(Math.min(POLL_MS, 5 * 2 ** look));
  }
}

/** True when some physical replica of either island is behind right now. */
export async function replicasBehind(step: Step): Promise<boolean> {
  const [ofSource, ofDestination] = await Promise.all([
    step.onSource((client) => replicaLags(client, step.from)),
    step.onDestination((client) => replicaLags(client, step.to)),
  ]);
  return [...ofSource, ...ofDestination].some(
    (lag) => !(lag.seconds <= step.input.request.maxReplicationLagSec),
  );
}

/** Name under which the move's own subscription stands among the replicas. */
const SUBSCRIPTION = "subscription";

const shown = (lag: ReplicaLag): string =>
  `${lag.replica} ${Number.isFinite(lag.seconds) ? `${lag.seconds.toFixed(1)} s` : "not measured yet"}`;

function describe(lags: readonly ReplicaLag[], limit: number): string {
  const replicas = lags.filter((lag) => lag.replica !== SUBSCRIPTION);
  const worst = Math.max(0, ...lags.map((lag) => lag.seconds));
  const of =
    replicas.length === 0
      ? "no physical replicas; the subscription"
      : `${replicas.length} physical replicas and the subscription`;
  return `${of} at most ${worst.toFixed(1)} s behind (limit ${limit} s)`;
}

/** Remembers where the source stood at each look, to tell how old the destination's position is. */
class SubscriptionLag {
  readonly #seen: { at: number; lsn: string }[] = [];

  constructor(readonly step: Step) {}

  async measure(): Promise<ReplicaLag> {
    const { rows } = await this.step.onSource((client) =>
      client.query<{ lsn: string }>("SELECT pg_current_wal_flush_lsn() AS lsn"),
    );
    this.#seen.push({ at: Date.now(), lsn: rows[0]!.lsn });
    const reached = await this.step.onDestination((client) =>
      countReached(
        client,
        this.step.names.subscription,
        this.#seen.map((look) => look.lsn),
      ),
    );
    // Keeps the newest position that the destination has reached, and all after it.
    if (reached > 0) this.#seen.splice(0, reached - 1);
    // Until the destination passes the first position that was looked at, nobody knows how far behind it is.
    const seconds = reached === 0 ? Infinity : (Date.now() - this.#seen[0]!.at) / 1000;
    return { island: this.step.to, replica: SUBSCRIPTION, seconds };
  }
}

/** How many of these positions, oldest first, the subscription's apply worker has passed. */
async function countReached(
  client: ClientBase,
  subscription: string,
  positions: readonly string[],
): Promise<number> {
  const { rows } = await client.query<{ reached: string }>(
    `SELECT count(*) AS reached
     FROM unnest($2::pg_lsn[]) AS position
     WHERE position <= (
       SELECT max(latest_end_lsn) FROM pg_stat_subscription WHERE subname = $1 AND relid IS NULL AND pid IS NOT NULL
     )`,
    [subscription, positions],
  );
  return Number(rows[0]?.reached);
}
