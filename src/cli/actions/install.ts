import { ISLANDS, SETTINGS } from "../../config/options.ts";
import { plural } from "../../format.ts";
import { defineAction } from "../action.ts";

export const install = defineAction({
  options: { ...ISLANDS, schemaNameFmt: SETTINGS.schemaNameFmt },
  examples: [
    "shardferry install --dsns=host1,host2",
    "shardferry install --dsn=host1/db --schema-name-fmt=shard%d",
  ],

  async run({ ui, load }) {
    const { settings: loaded } = await load();
    const { install: installOnAll } = await import("../../operations/install.ts");
    const islands = await installOnAll(loaded, (line) => ui.say(line));
    ui.result({ islands }, () =>
      islands
        .map(({ island, libSchema, upgraded, activeShards }) => {
          const how = upgraded ? "upgraded" : "installed";
          return `${island}: ${how} in schema ${libSchema}, ${plural(activeShards, "active shard")}`;
        })
        .join("\n"),
    );
  },
});
