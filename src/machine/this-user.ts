import { hostname, userInfo } from "node:os";

/** The user and the host of this process, `ann@laptop`; an account without a name is shown by its number. */
export const thisUser = (): string => `${userName()}@${hostname()}`;

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
