import { CancellationScope, workflowInfo } from "@temporalio/workflow";

import type { CopyInput, CopyResult, SwitchReport } from "../contract/move.ts";
import { recorded } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { quick, urgent } from "./proxies.ts";
import { type Replica, replicate, verifiedOf, withLocked } from "./replicate.ts";
import { Steering } from "./steering.ts";
import { WalGuard } from "./wal-guard.ts";

/** What a copy waits for once it is in step. */
const CONFIRMATION =
  "confirmation to end the replication (confirm): you can now stop the writes on the source and reroute them";

/** Copies a schema to another island, and writes that into the history of both. */
export async function copy(input: CopyInput): Promise<CopyResult> {
  const protocol = new Protocol(new Steering(input));
  const { schema, from, to, startedBy } = input;
  return recorded(
    protocol.steering,
    { kind: "copy", name: schema, schemas: [schema], islands: [from, to], from, to, startedBy },
    () => copySchema(protocol, input),
    ({ sizeBytes, copiedBytes, rows, verified }) => ({
      outcome: "copied",
      sizeBytes,
      copiedBytes,
      rows,
      verified,
    }),
  );
}

/** Keeps the copy in step until it is confirmed; switches nothing. */
async function copySchema(protocol: Protocol, input: CopyInput): Promise<CopyResult> {
  const wal = new WalGuard();

  const forward = async (): Promise<{ replica: Replica; finished: SwitchReport }> => {
    const replica = await replicate(protocol, wal, "copy", input, { shard: null, endsBlockers: false });
    if (input.wait)
      await protocol.steering.confirmation(CONFIRMATION, () => quick["keep lease"](replica.input));
    const finished = await protocol.step("lock and switch", () => urgent["finish copy"](replica.input));
    return { replica, finished };
  };
  const { replica, finished } = await protocol.orUndo(() => wal.guard(forward));

  return CancellationScope.nonCancellable(async () => {
    const nothingElse = { deactivateSql: null, leftover: null };
    await protocol.step("clean up", () => quick["clean up"]({ ...replica.input, ...nothingElse }));
    protocol.steering.phase("done");
    const { workflowId, runId, startTime } = workflowInfo();
    const { schema, from, to } = input;
    const { walKeptBytes } = protocol.steering;
    const durationMs = Date.now() - startTime.getTime();
    const amount = withLocked(replica.amount, finished);
    const verified = verifiedOf(replica, false);
    return { workflowId, runId, schema, from, to, ...amount, walKeptBytes, durationMs, verified };
  });
}
