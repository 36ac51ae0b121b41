import { messageOf } from "../errors.ts";
import { connectClient, runningEmbedded } from "../temporal/connection.ts";
import { runningIds } from "./steer.ts";

/** Returns the workflows that would stand still if the embedded server were stopped. */
export async function runningOnEmbedded(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string[]> {
  const target = runningEmbedded(env);
  if (!target) return [];
  try {
    const temporal = await connectClient(target, env, say);
    return await runningIds(temporal).finally(() => temporal.close());
  } catch (error) {
    // A server that does not respond has to be stopped all the same.
    say(`Cannot find out what is running on the embedded Temporal server: ${messageOf(error)}`);
    return [];
  }
}
