/** The SQLSTATEs that are told apart, under the names of PostgreSQL's manual. */
export const SQLSTATE = {
  invalidParameterValue: "22023",
  inFailedTransaction: "25P02",
  invalidSchemaName: "3F000",
  deadlockDetected: "40P01",
  insufficientPrivilege: "42501",
  syntaxError: "42601",
  undefinedObject: "42704",
  undefinedFunction: "42883",
  undefinedTable: "42P01",
  objectInUse: "55006",
  cannotChangeParameter: "55P02",
  lockNotAvailable: "55P03",
  queryCanceled: "57014",
} as const;

/** The SQLSTATE of an error of the server; empty when it has none. */
export function sqlstateOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : "";
}

/** Whether an error has one of these SQLSTATEs. */
export const hasSqlstate = (error: unknown, ...states: readonly string[]): boolean =>
  states.includes(sqlstateOf(error));
