import { ShardferryError } from "../errors.ts";
import { connectClient, existingTarget, type Temporal } from "./connection.ts";

/**
 * Asks Temporal for something that is good to know. Returns null if none is configured or running, or if it cannot be
 * reached: nothing is started for it.
 */
export async function askTemporal<T>(
  env: NodeJS.ProcessEnv,
  ask: (temporal: Temporal) => Promise<T>,
): Promise<T | null> {
  const target = await existingTarget(env);
  if (!target) return null;
  try {
    const temporal = await connectClient(target, env, () => undefined);
    return await ask(temporal).finally(() => temporal.close());
  } catch (error) {
    if (error instanceof ShardferryError && error.code === "temporal_unreachable") return null;
    throw error;
  }
}
