import { createInterface } from "node:readline/promises";

import { AbortedError } from "../errors.ts";
import type { Ui } from "./ui.ts";

/** Asks a question in the terminal, or on stdin; returns null if the input ends without an answer. */
export async function askYesNo(ui: Ui, question: string): Promise<boolean | null> {
  const input = createInterface({ input: process.stdin, output: ui.progress, terminal: ui.interactive });
  try {
    return await new Promise<boolean | null>((resolve, reject) => {
      const answered = (answer: string): void => resolve(/^\s*y(es)?\s*$/i.test(answer));
      input.once("close", () => resolve(null));
      input.once("SIGINT", () => reject(new AbortedError("nothing was done")));
      // An answer without a newline arrives when the input ends, and only as this event.
      input.once("line", answered);
      input.question(`${question} [y/N] `).then(answered, () => resolve(null));
    });
  } finally {
    input.close();
  }
}
