import { testKills } from "./kill-switch.ts";

// Those after which something else stands on the servers than before; the others are soak tests.
testKills([
  "before lock",
  "after lock",
  "after set sequences",
  "after leave source",
  "after commit source",
  "after commit destination",
]);
