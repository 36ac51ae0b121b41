import { CancelledFailure, patched, upsertMemo } from "@temporalio/workflow";

import { ABORTED_MEMO } from "../contract/names.ts";

/**
 * Returns the error that ends an aborted workflow. Of a workflow that was cancelled, Temporal keeps no words but its memo.
 */
export function abortedWith(text: string): CancelledFailure {
  if (patched("memo of an abort")) upsertMemo({ [ABORTED_MEMO]: text });
  return new CancelledFailure(text);
}
