import { ShardferryError } from "../../../src/errors.ts";
import type { MoveStep } from "./step.ts";

/** The rows are not the same on both sides. */
export class DiffersError extends ShardferryError {
  constructor({ schema, from, to }: MoveStep, differences: string) {
    super(
      "differs",
      `"${schema}" is not the same on ${from} (the source) and ${to} (the destination): ${differences}`,
    );
  }
}
