import type { HistoryLine } from "../contract/history.ts";
import type { MoveInput, MoveResult, ReplicationInput } from "../contract/move.ts";
import { isReversible } from "../contract/way-back.ts";
import { type Ending, type Operation, recorded, shortened } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { replicate } from "./replicate.ts";
import { Steering } from "./steering.ts";
import { completeMove, type Switched, switchOver } from "./switch-over.ts";
import { WalGuard } from "./wal-guard.ts";
import type { Returning } from "./way-ahead.ts";

/** Moves a shard to another island, and writes that into the history of both. */
export async function move(input: MoveInput): Promise<MoveResult> {
  const protocol = new Protocol(new Steering(input));
  return recorded(protocol.steering, operationOf(input), () => moveShard(protocol, input), endingOf);
}

/** Replicates the shard, then locks and switches it, then cleans up. */
async function moveShard(protocol: Protocol, input: MoveInput): Promise<MoveResult> {
  const wal = new WalGuard();
  const forward = async (): Promise<Switched> => {
    const replica = await replicate(protocol, wal, "move", replicationOf(input), {
      shard: input.shard,
      endsBlockers: endsBlockers(input),
      reversible: isReversible(input),
    });
    return switchOver(protocol, input, replica, returningOf(input));
  };
  const switched = await protocol.orUndo(() => wal.guard(forward));
  return completeMove(protocol, input, switched);
}

/** Picks the part of a move's input that its replication needs. */
function replicationOf(input: MoveInput): ReplicationInput {
  const { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod, maxWalBytes, verify } =
    input;
  return { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod, maxWalBytes, verify };
}

const endsBlockers = ({ cancelBlockersAfterMs, terminateBlockersAfterMs }: MoveInput): boolean =>
  Boolean(cancelBlockersAfterMs ?? terminateBlockersAfterMs);

const returningOf = (input: MoveInput): Returning | null =>
  isReversible(input) ? { turn: 0, expiresAt: () => Date.now() + input.reversibleMs } : null;

function operationOf({ schema, from, to, activateOnDestination, startedBy }: MoveInput): Operation {
  const kind = activateOnDestination ? "move" : "rehearsal";
  return { kind, name: schema, schemas: [schema], islands: [from, to], from, to, startedBy };
}

function endingOf(result: MoveResult): Ending {
  const { sizeBytes, copiedBytes, rows, activated, verified, blockers } = result;
  const writeBlocked = activated || blockers ? result.writeBlocked : null;
  const outcome = activated ? "moved" : "rehearsed";
  return { outcome, sizeBytes, copiedBytes, rows, writeBlocked, verified, reason: inTheWay(blockers) };
}

/** Who was in the way of a rehearsed switch, without their statements, which may contain rows. */
function inTheWay(blockers: MoveResult["blockers"] = []): HistoryLine["reason"] {
  if (blockers.length === 0) return null;
  const who = blockers.map((blocker) => blocker.who).join("; ");
  return { code: "in_the_way", text: shortened(`in the way of the switch: ${who}`) };
}
