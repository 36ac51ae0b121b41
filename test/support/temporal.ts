import { randomBytes } from "node:crypto";

import { testTemporal } from "./servers.ts";

/** A namespace of the shared Temporal server, so that the workflow ids of test files do not collide. */
export interface TestNamespace {
  address: string;
  namespace: string;
}

/** Creates a namespace of the shared Temporal server, ready for use. */
export async function createNamespace(): Promise<TestNamespace> {
  const { address } = await testTemporal();
  // Only test files that use Temporal load its client.
  const { Connection } = await import("@temporalio/client");
  const connection = await Connection.connect({ address });
  const namespace = `test-${randomBytes(6).toString("hex")}`;
  try {
    const retention = { seconds: 24 * 3600 } as unknown as null;
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: retention,
    });
  } finally {
    await connection.close();
  }
  return { address, namespace };
}
