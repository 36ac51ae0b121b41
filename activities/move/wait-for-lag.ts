import type { StepReport } from "../../contract/progress.ts";
import { duration } from "../../src/format.ts";
import { LagClock, reachedBySubscription, SUBSCRIPTION } from "../../src/postgres/replication/lag.ts";
import { type Follower, followersOf, waitingForLag } from "../attempt/lag-watch.ts";
import { POLL_MS } from "../attempt/poll.ts";
import { ReplicationTrouble } from "./parts/replication-health.ts";
import { flushedStandings, standings } from "./parts/standings.ts";
import { type MoveStep } from "./parts/step.ts";

/**
 * Waits until every physical replica of both islands, and if requested the subscription, is behind by no more
 * than the given number of seconds.
 */
export async function waitForLag(step: MoveStep, subscription: boolean): Promise<StepReport> {
  const limit = step.input.request.maxReplicationLagSec;
  const [source, destination] = [new LagClock(), new LagClock()];
  const trouble = new ReplicationTrouble(step);
  for (let look = 0; ; look++) {
    const reason = subscription ? await trouble.look() : undefined;
    const [from, to] = await (look === 0 ? standings(step) : flushedStandings(step));
    const followers = [...followersOf(step.from, source, from), ...followersOf(step.to, destination, to)];
    if (subscription) {
      const lag = source.lagOf(
        await step.onDestination((client) => reachedBySubscription(client, step.replicationName)),
      );
      followers.push({ island: step.to, replica: SUBSCRIPTION, ...lag });
    }
    const behind = followers.filter((lag) => !lag.known || lag.seconds > limit);
    if (behind.length === 0) return { text: describe(followers, limit) };
    const waitingFor = waitingForLag(behind, limit);
    step.attempt.beat({
      lags: followers.slice(0, 20).map(({ island, replica, seconds }) => ({ island, replica, seconds })),
      waitingFor: reason ? `${waitingFor}; ${reason}` : waitingFor,
    });
    await step.attempt.pause(Math.min(POLL_MS, 5 * 2 ** look));
  }
}

function describe(followers: readonly Follower[], limit: number): string {
  const replicas = followers.filter(({ replica }) => replica !== SUBSCRIPTION).length;
  const worst = Math.max(0, ...followers.map(({ seconds }) => seconds));
  const of = replicas === 0 ? "no physical replicas; the subscription" : `${replicas} physical replicas`;
  return `${of} at most ${duration(1000 * worst)} behind (limit ${limit} s)`;
}
