import { ISLANDS } from "../../config/options.ts";
import { HISTORY } from "../../config/shard-options.ts";
import { EXIT } from "../../errors.ts";
import { bytes, count, duration, plural } from "../../format.ts";
import type { History, HistoryEntry } from "../../operations/history.ts";
import { shortNames } from "../../short-names.ts";
import { defineAction } from "../action.ts";
import { hang, plainTable, type TextArea } from "../table.ts";

export const history = defineAction({
  options: { ...ISLANDS, ...HISTORY },
  examples: ["shardferry history --dsns=host1,host2", "shardferry history --shard=42 --limit=10 --json"],

  async run({ ui, load }) {
    const { settings, request } = await load();
    const { history: readHistory } = await import("../../operations/history.ts");
    const found = await readHistory(settings, request);
    ui.result(toJson(found), () => renderHistory(found, ui));
    return found.unreachable.length > 0 ? EXIT.failed : EXIT.done;
  },
});

const toJson = ({ entries, ...rest }: History): object => ({
  entries: entries.map(({ startedAt, endedAt, ...entry }) => ({
    ...entry,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: new Date(endedAt).toISOString(),
    durationMs: endedAt - startedAt,
  })),
  ...rest,
});

const HEADER = ["What", "When", "Took", "From → to", "Size", "Rows", "Blocked", "Compared", "Outcome", "By"];

/** Shows what was done, the latest last, then the reasons in full, and which islands could not tell. */
export function renderHistory({ entries, unreachable, withoutHistory }: History, ui: TextArea): string {
  const short = shortNames(entries.flatMap(({ islands }) => islands));
  const rows = entries.map((entry) => cells(entry, short));
  const reasons = entries.flatMap((entry) =>
    entry.reason === null ? [] : [hang(ui, `${whatOf(entry)}, ${whenOf(entry)}: `, entry.reason.text)],
  );
  const silent = [
    ...unreachable.map(({ island, reason }) => hang(ui, "", `${island} does not answer: ${reason}`)),
    ...withoutHistory.map((island) => hang(ui, "", `${island} has no history: run \`shardferry install\``)),
  ];
  const table = rows.length === 0 ? "There is nothing in the history." : plainTable(HEADER, rows, ui);
  return [[table], reasons, silent]
    .filter(({ length }) => length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

const whatOf = ({ kind, name }: HistoryEntry): string => `${kind} ${name}`;

/** In UTC: the same for everybody who looks. */
const whenOf = ({ startedAt }: HistoryEntry): string =>
  `${new Date(startedAt).toISOString().slice(0, 16).replace("T", " ")}Z`;

function cells(entry: HistoryEntry, short: (name: string) => string): string[] {
  const { schemas, from, to, islands, sizeBytes, rows, writeBlocked, verified } = entry;
  const { startedAt, endedAt, outcome, reason, startedBy, recordedBy } = entry;
  const places =
    from !== null && to !== null
      ? `${short(from)} → ${short(to)}`
      : `${plural(schemas.length, "shard")}, ${plural(islands.length, "island")}`;
  const blocked = writeBlocked && `${count(Math.ceil(writeBlocked.totalMs))} ms`;
  // A migration copies nothing that could be compared.
  const nothing = from === null ? "" : "none";
  return [
    whatOf(entry),
    whenOf(entry),
    duration(endedAt - startedAt),
    places,
    sizeBytes === null ? "" : bytes(sizeBytes),
    rows === null ? "" : count(rows),
    writeBlocked?.atMost ? `≤ ${blocked}` : (blocked ?? ""),
    verified ? plural(verified.tables, "table") : nothing,
    reason === null || reason.code === outcome ? outcome : `${outcome}: ${reason.code}`,
    startedBy ?? recordedBy[0]!.role,
  ];
}
