import type { CopyInput, MoveInput } from "../../contract/move.ts";
import { moveSwitches, replicationSwitches } from "../../src/config/switches.ts";

type Where = "schema" | "from" | "to";

/** The input of a move; what is left out is as on a command line without it. */
export const moveInput = (input: Pick<MoveInput, Where | "shard"> & Partial<MoveInput>): MoveInput => ({
  ...moveSwitches({}, {}),
  ...input,
});

/** The input of a copy, likewise. */
export const copyInput = (input: Pick<CopyInput, Where> & Partial<CopyInput>): CopyInput => ({
  ...replicationSwitches({}, {}),
  ...input,
});
