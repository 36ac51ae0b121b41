// Exports the workflows and nothing else: every function exported here becomes a workflow type.
export { copy } from "./copy.ts";
export { migrate } from "./migrate.ts";
export { move } from "./move.ts";
export { rebalance } from "./rebalance.ts";
export { rollback } from "./rollback.ts";
export { verify } from "./verify.ts";
export { wayBack } from "./way-back.ts";
