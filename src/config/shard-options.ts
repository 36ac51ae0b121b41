import { option } from "./option.ts";
import { PLACES, YES } from "./options.ts";

/** Options of actions that look at shards, or change them, where they are. */

/** Several shards of those that are active. */
const ACTIVE_SHARDS = option("--shards <n,m-k>", "numbers of the shards", (v) => v.shardList, {
  otherwise: "all active ones",
});

export const ALLOCATION = {
  shard: option("--shard <n>", "number of the shard", (v) => v.shardRange),
  shards: option("--shards <n-m>", "numbers of the first and the last shard", (v) => v.shardRange),
  sequences: option(
    "--sequences <interleave|range>",
    "give the sequences values that no other shard can produce: N, N + 10000, …; or a range for each shard",
    (v) => v.sequenceMode,
  ),
  activate: option(
    "--activate <yes|no>",
    "activate the shards after the command has succeeded",
    (v) => v.yesNo,
  ),
};

export const SEQUENCES = {
  mode: option(
    "--mode <interleave|range>",
    "N, N + 10000, N + 20000 and so on; or a range for each shard",
    (v) => v.sequenceMode,
  ),
  shards: ACTIVE_SHARDS,
  dryRun: option(
    "--dry-run [yes|no]",
    "show which sequences would be changed, and change none",
    (v) => v.yesNo,
    {
      fallback: false,
    },
  ),
  yes: YES,
};

export const FACTOR = {
  shard: option("--shard <n>", "number of the shard", (v) => v.text),
  shards: option(
    "--shards <n,m|prefix>",
    "numbers or ranges of shards, or a DSN or prefix: all shards of that island",
    (v) => v.text,
  ),
  factor: option("--factor <p>", 'new factor P, or a change: +P, -P, "*P"', (v) => v.factorChange),
};

export const VALIDATE = {
  shard: PLACES.shard,
  shards: ACTIVE_SHARDS,
  dryRun: option("--dry-run [yes|no]", "show which keys are NOT VALID, and change none", (v) => v.yesNo, {
    fallback: false,
  }),
};

export const HISTORY = {
  shard: option("--shard <n>", "number of a shard: only what was done to it", (v) => v.shardNumber),
  limit: option("--limit <n>", "how many of the latest operations to show", (v) => v.wholeNumber(1), {
    fallback: 50,
  }),
};

export const DRIFT = {
  shards: option("--shards <n,m-k>", "numbers of the shards to compare", (v) => v.shardList, {
    otherwise: "all active ones but shard 0",
  }),
  reference: option(
    "--reference <n>",
    "reference shard, which the others should match",
    (v) => v.shardNumber,
    {
      otherwise: "the schema that most shards have",
    },
  ),
  fixSql: option(
    "--fix-sql [yes|no]",
    "print the DDL that would bring each shard in line; it is not run",
    (v) => v.yesNo,
  ),
};

export const TENANT = {
  shard: option("--shard <n>", "assign or pin to this shard", (v) => v.wholeNumber(1, 2_147_483_647), {
    otherwise: "the lightest free shard",
  }),
  sizeSql: option(
    "--size-sql <query>",
    "list, show: query run once in each shard; its rows are tenants and their sizes",
    (v) => v.text,
  ),
};
