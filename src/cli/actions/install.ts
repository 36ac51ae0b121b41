import { type Action, withDsns, withExample } from "../action.ts";

export const install: Action = {
  define(command) {
    withDsns(command).option(
      "--schema-name-fmt <format>",
      "how shards are named (SCHEMA_NAME_FMT; default sh%04d)",
    );
    withExample(
      command,
      "shardferry install --dsns=host1,host2",
      "shardferry install --dsn=host1/db --schema-name-fmt=shard%d",
    );
  },

  async run({ ui, settings }) {
    const loaded = await settings();
    const { install: installOnAll } = await import("../../operations/install.ts");
    const islands = await installOnAll(loaded);
    ui.result({ islands }, () =>
      islands
        .map(({ island, libSchema, upgraded, activeShards }) => {
          const how = upgraded ? "upgraded" : "installed";
          return `${island}: ${how} in schema ${libSchema}, ${activeShards} active shards`;
        })
        .join("\n"),
    );
  },
};
