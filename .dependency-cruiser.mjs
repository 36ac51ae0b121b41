/**
 * The floors of the house, from the roof down: a folder imports from its own floor and from lower ones. A new folder
 * gets its place here; without one it may be imported from anywhere, so `no-homeless` refuses it.
 */
const FLOORS = [
  ["^test/", "^bench/"],
  ["^src/cli/"],
  ["^src/index[.]ts$"],
  ["^src/operations/"],
  ["^src/worker/"],
  ["^activities/[^/]+[.]ts$"],
  ["^activities/(move|migrate|way-back)/[^/]+[.]ts$"],
  ["^activities/move/switch/"],
  ["^activities/move/parts/"],
  ["^activities/verify/"],
  ["^activities/attempt/"],
  ["^src/(preflight|cleanup|drift|verify|watch)/"],
  ["^src/(layout|migrations|sequences|tenants|config|demo)/"],
  ["^src/sandbox/"],
  ["^src/temporal/"],
  ["^src/postgres/replication/"],
  ["^src/postgres/schema/"],
  ["^src/postgres/(islands|api)/"],
  ["^src/postgres/[^/]+[.]ts$"],
  ["^src/postgres/errors/"],
  ["^workflows/", "^src/(rebalance|machine)/"],
  ["^src/(errors|format|summary|all-end|group-by|short-names)[.]ts$"],
  ["^contract/"],
];

const floorRules = FLOORS.slice(1).map((rooms, index) => ({
  name: `floor-of-${rooms[0]}`,
  comment: "A folder imports from its own floor and from lower ones.",
  severity: "error",
  from: { path: rooms },
  to: { path: FLOORS.slice(0, index + 1).flat() },
}));

export default {
  forbidden: [
    ...floorRules,
    {
      name: "no-cycle",
      comment: "Also of types: two files that need each other are one idea, or a third one is missing.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-homeless",
      comment: "A new folder needs a floor.",
      severity: "error",
      from: { pathNot: FLOORS.flat() },
      to: {},
    },
    {
      name: "steps-stand-alone",
      comment:
        "What two steps of a move or way back have in common is a part of them, in activities/move/parts.",
      severity: "error",
      from: { path: "^activities/(move|way-back)/[^/]+[.]ts$" },
      to: { path: "^activities/move/[^/]+[.]ts$" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    includeOnly: "^(contract|workflows|activities|src|bench|test)/",
  },
};
