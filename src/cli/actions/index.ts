import type { ActionEntry, Actions } from "../action.ts";

/** Every action, in the order of the help. */
export const ACTIONS: Actions = {
  install: {
    summary: "install or upgrade the SQL API on every island",
    load: async () => (await import("./install.ts")).install,
  },
  list: {
    summary: "show which shards are on which island, and their weights",
    aliases: ["ls"],
    load: async () => (await import("./list.ts")).list,
  },
  allocate: {
    summary: "create new shards, fill them by a shell command, activate them",
    load: async () => (await import("./allocate.ts")).allocate,
  },
  factor: {
    summary: "set or change the weight factor of shards",
    load: async () => (await import("./factor.ts")).factor,
  },
  move: {
    summary: "move a shard to another island while it is in use",
    load: async () => (await import("./move.ts")).move,
  },
  copy: {
    summary: "copy any schema to another island while it is in use",
    load: async () => (await import("./copy.ts")).copy,
  },
  rebalance: {
    summary: "move shards until all islands carry the same weight, or empty some islands",
    load: async () => (await import("./rebalance.ts")).rebalance,
  },
  cleanup: {
    summary: "drop old copies of moved shards, and leftovers of dead moves",
    load: async () => (await import("./cleanup.ts")).cleanup,
  },
  rollback: {
    summary: "bring a shard back on the way that `move --reversible` has left open",
    load: async () => (await import("./way-back.ts")).rollback,
  },
  finish: {
    summary: "close the way back of a shard; its old copy stays until `cleanup`",
    load: async () => (await import("./way-back.ts")).finish,
  },
  verify: {
    summary: "compare every row of a shard or schema with a copy of it",
    load: async () => (await import("./verify.ts")).verify,
  },
  migrate: {
    summary: "change the schema of all shards, or of none",
    load: async () => (await import("./migrate.ts")).migrate,
  },
  drift: {
    summary: "compare the schemas of all shards, and show what differs as DDL",
    load: async () => (await import("./drift.ts")).drift,
  },
  validate: {
    summary: "validate the foreign keys that moves have left NOT VALID",
    load: async () => (await import("./validate.ts")).validate,
  },
  sequences: {
    summary: "give the sequences of each shard values that no other shard has",
    load: async () => (await import("./sequences.ts")).sequences,
  },
  tenant: {
    summary: "assign tenants to shards, list them, pin huge ones, unpin them",
    load: async () => (await import("./tenant.ts")).tenant,
  },
  doctor: {
    summary: "check islands, a move or a copy, without touching anything",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  history: {
    summary: "show what was done to the shards: when, by whom, and how it ended",
    load: async () => (await import("./history.ts")).history,
  },
  status: {
    summary: "show running workflows and their progress",
    load: async () => (await import("./status.ts")).status,
  },
  attach: {
    summary: "watch a running workflow; with the embedded server, also do its work",
    load: async () => (await import("./attach.ts")).attach,
  },
  pause: {
    summary: "start no more moves of a rebalance until it is confirmed",
    load: async () => (await import("./steer.ts")).pause,
  },
  confirm: {
    summary: "resume a move or copy that --wait has paused, or a paused rebalance",
    load: async () => (await import("./steer.ts")).confirm,
  },
  "skip-lag": {
    summary: "stop waiting for replication lag",
    load: async () => (await import("./steer.ts")).skipLag,
  },
  abort: {
    summary: "abort a running workflow, and clean up",
    load: async () => (await import("./steer.ts")).abort,
  },
  worker: {
    summary: "run a worker until SIGTERM",
    load: async () => (await import("./worker.ts")).worker,
  },
  dev: {
    summary: "run the embedded Temporal server and a worker in the foreground",
    load: async () => (await import("./dev.ts")).dev,
  },
  down: {
    summary: "stop the embedded Temporal server",
    load: async () => (await import("./down.ts")).down,
  },
  completion: {
    summary: "print the script that completes commands in bash, zsh or fish",
    load: async () => (await import("./completion.ts")).completion,
  },
  demo: {
    summary: "move a shard under load between throw-away servers, and check that nothing is lost",
    load: async () => (await import("./demo.ts")).demo,
  },
};

/** Finds an action by its name or alias. */
export function findAction(name: string): (ActionEntry & { name: string }) | null {
  for (const [own, entry] of Object.entries(ACTIONS)) {
    if (own === name || entry.aliases?.includes(name)) return { ...entry, name: own };
  }
  return null;
}
