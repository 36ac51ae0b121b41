import { flushedPosition, waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { ensurePublished } from "../parts/guards.ts";
import { refreshViews } from "../parts/refresh-views.ts";
import { ReplicationTrouble } from "../parts/replication-health.ts";
import { ensureUnchanged } from "../parts/structure.ts";
import type { SwitchSessions } from "./sessions.ts";

/** Milliseconds between two heartbeats while the destination catches up before the lock. */
const CATCH_UP_MS = 1000;

/**
 * Brings the destination close before the lock, so that the rest under the lock takes only milliseconds. Materialized views
 * come first: while one is being refreshed, the destination may fall behind again.
 */
export async function catchUp(sessions: SwitchSessions): Promise<void> {
  const { step, facts, views } = sessions;
  if (facts.views.length > 0)
    await refreshViews(step, views, sessions.sourceObserver, sessions.destinationObserver);
  await step.attempt.reading(step.from, () => ensureUnchanged(step, sessions.sourceObserver));
  await ensurePublished(step, sessions.facts, sessions.sourceObserver);
  const trouble = new ReplicationTrouble(step);
  for (;;) {
    const position = await flushedPosition(sessions.sourceObserver);
    const deadline = Date.now() + CATCH_UP_MS;
    const near = await waitUntilApplied(
      sessions.destinationObserver,
      step.replicationName,
      position,
      deadline,
      () => Promise.resolve(),
    );
    if (near) return;
    step.attempt.throwIfCancelled();
    const reason = await trouble.look();
    step.attempt.beat({
      waitingFor: reason ?? `the subscription on ${step.to} to catch up with ${step.from}`,
    });
  }
}
