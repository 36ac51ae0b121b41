import type { CopyInput, MoveInput } from "../../contract/move.ts";
import { moveSwitches, replicationSwitches } from "../../src/config/switches.ts";

type Where = "schema" | "from" | "to";

/** Returns the input of a move; missing options have the defaults of the command line. */
export const moveInput = (input: Pick<MoveInput, Where | "shard"> & Partial<MoveInput>): MoveInput => ({
  ...moveSwitches({}, {}),
  ...input,
});

/** Returns the input of a copy, likewise. */
export const copyInput = (input: Pick<CopyInput, Where> & Partial<CopyInput>): CopyInput => ({
  ...replicationSwitches({}, {}),
  ...input,
});
