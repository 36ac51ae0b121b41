export { count, plural } from "../format.ts";
