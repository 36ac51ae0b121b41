import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";

import proto from "@temporalio/proto";

const { History } = proto.temporal.api.history.v1;
export type History = proto.temporal.api.history.v1.IHistory;

const pathOf = (name: string): string => fileURLToPath(new URL(`./${name}.json`, import.meta.url));

/** The names of the recorded histories. */
export const recorded = (): string[] =>
  readdirSync(new URL(".", import.meta.url))
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.replace(/\.json$/, ""))
    .sort();

/** Fields that describe the machine that recorded a history, and not the workflow. */
const withoutMachine = (key: string, value: unknown): unknown => {
  if (key === "stackTrace") return "";
  return typeof value === "string" ? value.replaceAll(`${process.pid}@`, "").replaceAll(hostname(), "host") : value;
};

/** Writes a history as JSON that a person can read. */
export function writeHistory(name: string, history: History): void {
  const conversion = { bytes: String, longs: String, enums: String };
  const plain = History.toObject(History.fromObject(history), conversion);
  writeFileSync(pathOf(name), `${JSON.stringify(plain, withoutMachine, 2)}\n`);
}

/** Reads a history that was written in this way. */
export const readHistory = (name: string): History =>
  History.fromObject(JSON.parse(readFileSync(pathOf(name), "utf8")) as Record<string, unknown>);

/** The event with which a run ended. */
export const lastEvent = (history: History): proto.temporal.api.history.v1.IHistoryEvent =>
  history.events!.at(-1)!;

/** How a run began: its workflow's type and id. */
export function beginOf(history: History): { type: string; workflowId: string } {
  const started = history.events![0]!.workflowExecutionStartedEventAttributes!;
  return { type: started.workflowType!.name!, workflowId: started.workflowId! };
}
