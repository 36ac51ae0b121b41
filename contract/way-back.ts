import type { MoveInput, MoveSwitches, Preflight, StepInput } from "./move.ts";
import type { IslandName } from "./names.ts";
import type { StepReport } from "./progress.ts";

/** The steps of a way back, by their names in the history. */
export const WAY_BACK_STEPS = [
  "prepare way back",
  "wait for switch",
  "open way back",
  "keep way back",
  "close way back",
] as const;

/** The steps of a rollback; most are those of a move. */
export const ROLLBACK_STEPS = [
  "find way back",
  "wait for lag",
  "verify",
  "wait for confirmation",
  "prepare way back",
  "lock and switch",
  "clean up",
] as const;

export type WayBackStepName = (typeof WAY_BACK_STEPS)[number] | (typeof ROLLBACK_STEPS)[number];

/** A run of a workflow. */
export interface WorkflowRun {
  workflowId: string;
  runId: string;
}

/** The input of a way back: the move that a rollback would make. */
export interface WayBackInput {
  schema: string;
  /** Where the shard will be after the switch. */
  from: IslandName;
  /** Where it is before the switch, and where the old copy stays. */
  to: IslandName;
  /** That move. */
  move: MoveInput;
  plan: Preflight;
  /** The move or rollback whose switch this is the way back of. */
  opener: WorkflowRun;
  /** Which of the two ids this way has; the way back of a rollback begins before the former one ends. */
  turn: WayBackTurn;
}

export type WayBackTurn = 0 | 1;

/** What a way back is told when the shard has arrived. */
export interface Arrived {
  /** The name of the old copy, which it gets back at the end. */
  leftover: string;
  /** When the way back ends by itself, in milliseconds since the epoch. */
  expiresAt: number;
  /** The fingerprint of the schema where the shard has arrived, right after its switch. */
  fingerprint: string;
}

/** What a rollback is told by the way back on which it goes. */
export interface OpenWay {
  input: StepInput;
  expiresAt: number;
  turn: WayBackTurn;
}

/** A request to end a way back. */
export interface FinishRequest {
  /** Gives up an island that does not answer, instead of waiting until it does. */
  force?: boolean;
}

/** What was given up when a way back was closed by force. */
export interface Abandoned {
  island: IslandName;
  /** What is left there, if the island still exists. */
  left: string;
  reason: string;
}

/** Why a way back has ended: by `finish`, by its time, by its budget of WAL, by a rollback, or because it broke. */
export type WayBackEnd = "finished" | "expired" | "wal limit" | "rolled back" | "broken";

export interface WayBackResult extends WorkflowRun {
  schema: string;
  from: IslandName;
  to: IslandName;
  end: WayBackEnd;
  reason: string;
  /** The name of the old copy; null after a rollback, which has made it the shard again. */
  leftover: string | null;
  walKeptBytes: number;
  /** Islands that were not cleaned, because that was forced; missing if all were. */
  abandoned?: Abandoned[] | undefined;
}

/** The input of a rollback. */
export interface RollbackInput extends MoveInput {
  wayBack: WorkflowRun;
}

export interface OpenInput extends StepInput {
  opener: WorkflowRun;
  leftover: string;
  /** As in `Arrived`; missing in histories of ways that did not tell it. */
  expiresAt?: number | undefined;
}

export interface WatchInput extends StepInput {
  maxWalBytes: number;
  /** True once changes are being applied to the old copy. */
  open: boolean;
}

/** What ends a way back from outside. */
export interface WayBackTrouble {
  end: "wal limit" | "broken";
  reason: string;
}

export interface CloseInput extends StepInput {
  /** Null if the shard has not been switched. */
  leftover: string | null;
  deactivateSql: string | null;
  /** True if a rollback has begun: then only the side where the shard was knows whether it has left. */
  mayHaveLeft: boolean;
  /** Tries each side once, and gives up what fails. */
  force?: boolean;
}

export interface CloseReport extends StepReport {
  /** True if nothing was closed, because the shard has left by this way. */
  rolledBack: boolean;
  /** What was given up; missing if nothing was. */
  abandoned?: Abandoned[] | undefined;
}

/** The steps of a way back as activities; like those of a move, all are idempotent. */
export interface WayBackActivities {
  /** Before the switch: publication and slot where the shard will be. */
  "prepare way back"(input: StepInput): Promise<StepReport>;
  /** After the switch: the old copy follows the shard from the instant of the switch. */
  "open way back"(input: OpenInput): Promise<StepReport>;
  /** Watches until it is cancelled; returns what ends the way back. */
  "watch way back"(input: WatchInput): Promise<WayBackTrouble>;
  /** Drops everything, and makes the old copy what it is after an ordinary move. */
  "close way back"(input: CloseInput): Promise<CloseReport>;
}

export const WAY_BACK_TURNS: readonly WayBackTurn[] = [0, 1];

/** The id of a way back. */
export const wayBackWorkflowId = (schema: string, turn: WayBackTurn): string =>
  `way-back${turn === 0 ? "" : "-again"}-${schema}`;

/** True for the id of a way back. */
export const isWayBackId = (workflowId: string): boolean => /^way-back-/.test(workflowId);

/** The id of a rollback. */
export const rollbackWorkflowId = (schema: string): string => `rollback-${schema}`;

/** True for a move that leaves a way back open. Moves that began before there was one have no such field. */
export const isReversible = (
  move: Partial<Pick<MoveSwitches, "reversibleMs" | "activateOnDestination">>,
): move is { reversibleMs: number } => move.activateOnDestination !== false && (move.reversibleMs ?? 0) > 0;
