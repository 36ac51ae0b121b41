import type { IslandName } from "../contract/names.ts";
import { bytes, plural } from "./format.ts";

/** What Temporal's page shows of a workflow, whether or not a worker is running. */
export interface WorkflowSummary {
  staticSummary: string;
  staticDetails: string;
}

/** Temporal takes 400 bytes of a summary, and 20 kB of details; a character has up to three. */
const MAX_SUMMARY = 130;
const MAX_DETAILS = 6000;
/** Longer values, such as SQL, are left to the input, which Temporal shows as well. */
const MAX_VALUE = 100;

/** The fields of all inputs by which people recognize them. */
interface Subject {
  request?: Subject;
  migration?: Subject;
  name?: string;
  schema?: string;
  from?: IslandName | number;
  to?: IslandName | number;
  bytes?: number;
  islands?: readonly unknown[];
  prepared?: readonly unknown[];
  pending?: readonly Subject[];
}

/** What a workflow or a step is about, on one line: `sh0042: a → b`. */
export function summaryOf(input: object): string {
  const { request, migration, name, schema, from, to, bytes: size, pending, ...rest } = input as Subject;
  if (request ?? migration) return summaryOf((request ?? migration)!);
  const places = plural((rest.islands ?? rest.prepared ?? []).length, "island");
  if (pending) {
    const total = pending.reduce((sum, move) => sum + (move.bytes ?? 0), 0);
    return `${plural(pending.length, "move")} between ${places}, ${bytes(total)}`;
  }
  if (schema === undefined) return shortened(name === undefined ? places : `${name}: ${places}`);
  return shortened(`${schema}: ${from} → ${to}${size === undefined ? "" : `, ${bytes(size)}`}`);
}

/** The summary of a workflow, with its moves or options, and how to steer it. */
export function workflowSummary(workflowId: string, input: object): WorkflowSummary {
  const { islands = [], pending = [] } = input as Subject;
  const nameOf = (at: IslandName | number = ""): unknown => (typeof at === "number" ? islands[at] : at);
  const moves = pending.map((move) => summaryOf({ ...move, from: nameOf(move.from), to: nameOf(move.to) }));
  const options = Object.entries(input).filter(
    ([, value]) =>
      ["boolean", "number", "string"].includes(typeof value) && String(value).length <= MAX_VALUE,
  );
  const lines = [...options.map(([name, value]) => `${name}: ${value}`), ...moves].map((line) => `- ${line}`);
  const steering =
    `Watch it with \`shardferry attach ${workflowId}\`, undo it with \`shardferry abort ${workflowId}\`. ` +
    `If nothing happens, no worker is running: start \`shardferry worker\`, or with the embedded server \`shardferry attach\`.`;
  const staticDetails = [steering, "", ...lines].join("\n").slice(0, MAX_DETAILS);
  return { staticSummary: summaryOf(input), staticDetails };
}

const shortened = (text: string): string =>
  text.length <= MAX_SUMMARY ? text : `${text.slice(0, MAX_SUMMARY - 1)}…`;
