import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { messageOf, ShardferryError } from "../errors.ts";
import { install as installOn, type InstallResult } from "../postgres/api/install.ts";
import { redact } from "../postgres/islands/redact.ts";
import { onIslands } from "./with-islands.ts";

/** The result of `install` on one island. */
export interface IslandInstallation extends InstallResult {
  readonly island: IslandName;
}

/** Installs or upgrades the SQL API on all islands at once, even if it fails on some of them. */
export async function install(
  settings: Settings,
  tell: (line: string) => void = () => undefined,
): Promise<IslandInstallation[]> {
  const { schemaNameFmt } = settings;
  const outcomes = await onIslands(settings, (islands) =>
    Promise.all(
      islands.map(async ({ name, client }) => {
        try {
          return {
            island: name,
            ...(await installOn(client, schemaNameFmt === undefined ? {} : { schemaNameFmt }, (waitingFor) =>
              tell(`${name}: waiting for ${waitingFor}`),
            )),
          };
        } catch (error) {
          if (error instanceof ShardferryError && error.code === "usage") throw error;
          return { island: name, problem: redact(messageOf(error), settings.dsns) };
        }
      }),
    ),
  );
  const failed = outcomes.flatMap((one) => ("problem" in one ? [`${one.island}: ${one.problem}`] : []));
  if (failed.length > 0)
    throw new ShardferryError("install", `Not installed on ${failed.join("\nNot installed on ")}`);
  return outcomes.filter((one): one is IslandInstallation => !("problem" in one));
}
