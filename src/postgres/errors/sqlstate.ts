/** The SQLSTATEs that the code distinguishes, under their names in PostgreSQL's manual; those with SF are our own. */
export const SQLSTATE = {
  protocolViolation: "08P01",
  featureNotSupported: "0A000",
  invalidParameterValue: "22023",
  inFailedTransaction: "25P02",
  transactionTimeout: "25P04",
  foreignKeyViolation: "23503",
  invalidSchemaName: "3F000",
  serializationFailure: "40001",
  deadlockDetected: "40P01",
  insufficientPrivilege: "42501",
  syntaxError: "42601",
  undefinedObject: "42704",
  undefinedFunction: "42883",
  undefinedTable: "42P01",
  configurationLimitExceeded: "53400",
  objectInUse: "55006",
  cannotChangeParameter: "55P02",
  lockNotAvailable: "55P03",
  queryCanceled: "57014",
  internalError: "XX000",
  changesNotApplied: "SF001",
  sequencesWaitedFor: "SF002",
} as const;

/** The first two characters of SQLSTATEs that are distinguished by class. */
export const SQLSTATE_CLASS = {
  warning: "01",
  syntaxErrorOrAccessRuleViolation: "42",
  insufficientResources: "53",
} as const;

/** The code of an error, which is the SQLSTATE if a server sent it; empty if it has none. */
export function sqlstateOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : "";
}

/** Whether the code of an error has the form of a SQLSTATE; errors of the network have codes, too. */
export const isSqlstate = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code);

/** The class of a SQLSTATE. */
export const classOf = (sqlstate: string): string => sqlstate.slice(0, 2);

/** Whether an error has one of these SQLSTATEs. */
export const hasSqlstate = (error: unknown, ...states: readonly string[]): boolean =>
  states.includes(sqlstateOf(error));

/** True if a statement did not get its locks: its transaction may be run again. */
export const lockNotGranted = (error: unknown): boolean =>
  hasSqlstate(error, SQLSTATE.lockNotAvailable, SQLSTATE.deadlockDetected);
