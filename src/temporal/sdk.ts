/** The parts of Temporal's client in use. Loaded by `import()` only when needed, because it takes 0.2 s. */
export { Client, Connection } from "@temporalio/client";
export { defaultPayloadConverter } from "@temporalio/common";
export { msToTs, tsToMs } from "@temporalio/common/lib/time.js";
export { loadClientConnectConfig } from "@temporalio/envconfig";
