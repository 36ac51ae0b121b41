import { listPostgres, type Major } from "../../src/sandbox/index.ts";

const found = new Set((await listPostgres()).map(({ major }) => major));

/** Why a test that needs these versions of PostgreSQL is skipped; false if all are on this machine. */
export function without(...majors: readonly Major[]): string | false {
  const missing = majors.filter((major) => !found.has(major));
  return missing.length > 0 && `PostgreSQL ${missing.join(" and ")} is not on this machine`;
}
