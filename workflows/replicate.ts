import { ActivityFailure, ApplicationFailure, patched, workflowInfo } from "@temporalio/workflow";

import type {
  Activities,
  MoveResult,
  Preflight,
  ReplicationInput,
  StepInput,
  SwitchInput,
  SwitchReport,
} from "../contract/move.ts";
import type { StepReport } from "../contract/progress.ts";
import type { Verified, VerifyReport } from "../contract/verify.ts";
import { bytes as inBytes, plural } from "../src/format.ts";
import type { Protocol } from "./protocol.ts";
import { quick, waiting } from "./proxies.ts";
import type { WalGuard } from "./wal-guard.ts";

export interface Replica {
  /** The input of every further step. */
  input: StepInput;
  amount: Amount;
  /** Null if the rows were not compared. */
  verified: VerifyReport | null;
}

/** What preflight has to know besides the replication. */
type Demands = Omit<Parameters<Activities["preflight"]>[0], "kind" | "request">;

/** What a move or copy has copied. */
export type Amount = Pick<MoveResult, "rows" | "bytes" | "copiedBytes" | "sizeBytes">;

/**
 * Brings the schema in step on the destination: structure, rows, indexes, statistics, and a subscription that keeps it
 * in step. Then proves that every row is the same.
 */
export async function replicate(
  protocol: Protocol,
  wal: WalGuard,
  kind: "move" | "copy",
  request: ReplicationInput,
  demands: Demands,
): Promise<Replica> {
  const plan = await protocol.step("preflight", () => quick.preflight({ kind, request, ...demands }), {
    describe,
  });
  const input: StepInput = { kind, request, plan, fingerprint: "" };
  protocol.steering.plan(plan);

  const structure = await protocol.step("create structure", () => quick["create structure"](input), {
    undo: () => quick["drop structure"](input),
  });
  input.fingerprint = structure.fingerprint;

  // PostgreSQL's tablesync begins to copy with the subscription.
  if (structure.replicasBehind) await waitForLag(protocol, input, { subscription: false });
  wal.begin(input);
  await protocol.step("subscribe", () => quick.subscribe(input), {
    undo: () => quick["drop replication"](input),
  });
  const copied = await protocol.step("tablesync", () => waiting.tablesync(input));
  protocol.steering.copied(copied);

  if (copied.replicasBehind) await waitForLag(protocol, input, { subscription: false });
  await protocol.step("build indexes", () => waiting["build indexes"](input));
  const analyzed = await protocol.step("analyze", () => waiting.analyze(input));
  input.views = analyzed.views;
  const verified = await prove(protocol, input, request.verify);
  const { rows, bytes } = copied;
  const amount = { rows, bytes, copiedBytes: bytes, sizeBytes: plan.sizeBytes ?? plan.bytes };
  return { input, amount, verified };
}

/** Waits until the destination is in step, and compares every row; returns null if rows are not to be compared. */
export async function prove(
  protocol: Protocol,
  input: StepInput,
  mode: ReplicationInput["verify"],
): Promise<VerifyReport | null> {
  await waitForLag(protocol, input, { subscription: true });
  // Moves that began before rows were compared have no such step in their histories.
  if (!patched("verify") || mode !== "full") return null;
  const verified = await unlessDiffering(protocol, input, () =>
    protocol.step("verify", () => waiting.verify(input)),
  );
  protocol.steering.compared(verified);
  return verified;
}

/**
 * Runs a step that compares rows. If some differ, both sides are kept for inspection until the move is aborted, or a
 * confirmation asks to compare them again. A move of a rebalance fails instead, and is undone: it must not hold up the others.
 */
export async function unlessDiffering<T>(
  protocol: Protocol,
  input: StepInput,
  run: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      const text = differenceIn(error);
      if (text === null || workflowInfo().parent) throw error;
      await protocol.steering.differing(text, () => quick["keep lease"](input));
    }
  }
}

/** What the verification has found, if rows differ. */
function differenceIn(error: unknown): string | null {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return cause instanceof ApplicationFailure && cause.type === "differs" ? cause.message : null;
}

/** The rows that are left to compare under the lock. */
export const changingOf = ({ verified }: Replica): Pick<SwitchInput, "changing"> =>
  verified && verified.changing.length > 0 ? { changing: verified.changing } : {};

/** What a result says about the comparison. */
export const verifiedOf = ({ verified }: Replica, settledUnderLock: boolean): Verified | null =>
  verified && {
    tables: verified.tables,
    rows: verified.rows,
    unsettled: settledUnderLock ? [] : verified.changing.map(({ table }) => table),
  };

/** What was copied in all: some tables can only be copied under the lock. */
export const withLocked = (amount: Amount, { copied }: SwitchReport): Amount => ({
  ...amount,
  rows: amount.rows + (copied?.rows ?? 0),
  bytes: amount.bytes + (copied?.bytes ?? 0),
  copiedBytes: amount.copiedBytes + (copied?.bytes ?? 0),
});

/** Waits for the physical replicas, and before the switch also for the subscription, unless `skipLag` arrives. */
export async function waitForLag(
  { steering }: Protocol,
  input: StepInput,
  { subscription }: { subscription: boolean },
): Promise<void> {
  steering.enter("wait for lag");
  await steering.unlessSkipped(() => waiting["wait for lag"]({ ...input, subscription }));
}

function describe({ tables, bytes, sizeBytes = bytes, copyMethod, warnings }: Preflight): StepReport[] {
  const how = copyMethod === "direct" ? "one direct COPY" : "tablesync";
  return [
    { text: `nothing is in the way: ${plural(tables, "table")}, ${inBytes(sizeBytes)}, copied by ${how}` },
    ...warnings.map((warning) => ({ text: `warning: ${warning}` })),
  ];
}
