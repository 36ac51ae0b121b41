import type { HistoryLine } from "../../contract/history.ts";
import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { HISTORY } from "../config/shard-options.ts";
import { findHistorySchema, readHistoryLines, type RecordedLine } from "../postgres/api/history.ts";
import type { ConnectedIsland, Unreachable } from "../postgres/islands/discover.ts";
import { dsnsOf, readReachable } from "./with-islands.ts";

/** Which part of the history is asked for. */
export interface HistoryRequest {
  /** Number of one shard; by default, operations on all shards. */
  shard?: number | undefined;
  /** How many of the latest operations; by default 50. */
  limit?: number | undefined;
}

/** An operation that has ended. */
export interface HistoryEntry extends HistoryLine {
  readonly workflowId: string;
  readonly runId: string;
  /** The islands that remember it, each with the role of the session that wrote it there. */
  readonly recordedBy: readonly { readonly island: IslandName; readonly role: string }[];
}

/** What the islands remember. */
export interface History {
  /** The latest comes last. */
  readonly entries: readonly HistoryEntry[];
  /** Islands that do not answer. */
  readonly unreachable: readonly Unreachable[];
  /** Islands whose SQL API is missing or has no history yet. */
  readonly withoutHistory: readonly IslandName[];
}

/** Returns the latest operations that have ended, from the books of all islands that answer. */
export async function history(settings: Settings, request: HistoryRequest = {}): Promise<History> {
  const shard = request.shard ?? null;
  const limit = request.limit ?? HISTORY.limit.fallback;
  return readReachable(dsnsOf(settings), async (islands, unreachable) => {
    const books = await Promise.all(islands.map((island) => readBook(island, { shard, limit })));
    return {
      entries: merged(books).slice(-limit),
      unreachable,
      withoutHistory: books.filter(({ lines }) => lines === null).map(({ island }) => island),
    };
  });
}

/** What one island remembers; null if it has no history. */
interface Book {
  island: IslandName;
  lines: RecordedLine[] | null;
}

async function readBook(
  { client, name }: ConnectedIsland,
  part: { shard: number | null; limit: number },
): Promise<Book> {
  const apiSchema = await findHistorySchema(client);
  return { island: name, lines: apiSchema === null ? null : await readHistoryLines(client, apiSchema, part) };
}

/** Each operation once, in the order of their ends. */
function merged(books: readonly Book[]): HistoryEntry[] {
  const entries = new Map<string, HistoryEntry>();
  for (const { island, lines } of books) {
    for (const { role, ...line } of lines ?? []) {
      const key = `${line.runId} ${line.kind}`;
      const before = entries.get(key)?.recordedBy ?? [];
      entries.set(key, { ...line, recordedBy: [...before, { island, role }] });
    }
  }
  return [...entries.values()].sort((a, b) => a.endedAt - b.endedAt);
}
