import { CancellationScope, condition } from "@temporalio/workflow";

import type { Abandoned, CloseInput, CloseReport, WayBackResult } from "../contract/way-back.ts";
import { waiting } from "./proxies.ts";

/** Closes both sides of a way back, however long one is away, or until it is told to give up what does not answer. */
export async function closeBoth(input: CloseInput, isForced: () => boolean): Promise<CloseReport> {
  const close = waiting["close way back"];
  if (isForced()) return close({ ...input, force: true });
  const patient = new CancellationScope();
  const closed = patient.run(() => close(input));
  const report = await Promise.race([closed, condition(isForced).then(() => null)]);
  if (report) return report;
  patient.cancel();
  return (await closed.catch(() => null)) ?? close({ ...input, force: true });
}

/** Why a way back has ended, for the history of the islands. */
export const reasonOf = ({ end, reason, abandoned = [] }: WayBackResult): { code: string; text: string } => ({
  code: end.replace(" ", "_"),
  text: [reason, ...abandoned.map(notCleaned)].join("; "),
});

const notCleaned = ({ island, left }: Abandoned): string => `${island} was not cleaned: ${left}`;
