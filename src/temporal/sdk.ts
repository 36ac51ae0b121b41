/** What is used of Temporal's client. Loaded by `import()` only where Temporal is spoken to: it costs 0.2 s. */
export { Client, Connection } from "@temporalio/client";
export { defaultPayloadConverter } from "@temporalio/common";
export { loadClientConnectConfig } from "@temporalio/envconfig";
