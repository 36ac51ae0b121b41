import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { packageFolder } from "../../machine/package-folder.ts";

export interface SqlFile {
  /** Path inside the folder sql/. */
  name: string;
  sql: string;
}

/** Reads a psql file of the SQL API with everything that it includes by `\ir`, in the order in which psql would run it. */
export async function readSqlFiles(name: string): Promise<SqlFile[]> {
  const root = join(packageFolder(), "sql");
  return expand(root, join(root, name));
}

async function expand(root: string, path: string): Promise<SqlFile[]> {
  const name = relative(root, path);
  const files: SqlFile[] = [];
  let sql = "";
  for (const line of (await readFile(path, "utf8")).split("\n")) {
    const included = /^\\ir\s+(\S+)\s*$/.exec(line)?.[1];
    if (included === undefined) {
      if (line.startsWith("\\"))
        throw new Error(`${name} uses a psql command that is not supported here: ${line}`);
      sql += `${line}\n`;
    } else {
      files.push({ name, sql }, ...(await expand(root, join(dirname(path), included))));
      sql = "";
    }
  }
  files.push({ name, sql });
  return files.filter((file) => file.sql.replace(/^\s*--.*$/gm, "").trim() !== "");
}
