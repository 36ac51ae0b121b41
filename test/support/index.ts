export { createDatabase, type TestDatabase, withClient } from "./database.ts";
export { expectNoLeftovers, listLeftovers } from "./leftovers.ts";
export { behind, Proxy } from "./proxy.ts";
export { testIslands, type TestServer } from "./servers.ts";
export { createNamespace, type TestNamespace } from "./temporal.ts";
export { waitFor } from "./wait.ts";
