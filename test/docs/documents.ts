import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A Markdown file. */
export interface Document {
  /** Relative to the root of the project. */
  path: string;
  text: string;
}

/** Reads one Markdown file. */
export const readDocument = (path: string): Document => ({
  path,
  text: readFileSync(join(ROOT, path), "utf8"),
});

const isOurs = (name: string): boolean => !name.startsWith(".") && name !== "node_modules" && name !== "dist";

/** Lists the files under some folders (or files) with one of the extensions, with paths relative to the root. */
export function listFiles(endings: readonly string[], ...starts: string[]): string[] {
  return starts.flatMap((start) => {
    const entries = readdirSync(join(ROOT, start), { withFileTypes: true }).filter(({ name }) =>
      isOurs(name),
    );
    return entries.flatMap((entry) => {
      const path = relative(ROOT, join(ROOT, start, entry.name));
      if (entry.isDirectory()) return listFiles(endings, path);
      return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
    });
  });
}

/** Returns every Markdown file of the project. */
export const documents = (): Document[] => listFiles([".md"], ".").sort().map(readDocument);

/** Returns the code blocks of some languages, in order, without their fences. */
export function codeBlocks(text: string, ...languages: string[]): string[] {
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)]
    .filter(([, language]) => languages.includes(language!))
    .map(([, , code]) => code!);
}

/** Returns the code spans in the text outside of code blocks. */
export const inlineCode = (text: string): string[] =>
  [...text.replace(/^```[^]*?^```$/gm, "").matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

/** Returns the targets of the links of a document, outside of code, that are not whole addresses. */
export function relativeLinks(text: string): string[] {
  const prose = text.replace(/^```[^]*?^```$/gm, "").replace(/`[^`\n]*`/g, "``");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** Returns the part of a document from a heading to the next one of the same or a higher level. */
export function section({ text, path }: Document, heading: string): string {
  const [, marks] = new RegExp(`^(#+) ${heading}$`, "m").exec(text) ?? [];
  if (marks === undefined) throw new Error(`${path} has no heading "${heading}"`);
  const rest = text.slice(text.indexOf(`${marks} ${heading}\n`) + marks.length);
  // A comment in a shell script is not a heading.
  const prose = rest.replace(/^```[^]*?^```$/gm, (block) => " ".repeat(block.length));
  const end = prose.search(new RegExp(`^#{1,${marks.length}} `, "m"));
  return end < 0 ? rest : rest.slice(0, end);
}

/** Splits a shell command line into words, up to a comment, a pipe or a redirection. */
function words(line: string): string[] {
  const found: string[] = [];
  for (const [, single, double, plain] of line.matchAll(
    /\s*(?:((?:[^\s'"]*'[^']*')+)|((?:[^\s'"]*"[^"]*")+)|(\S+))/g,
  )) {
    if (plain && /^[#|&;>]/.test(plain)) break;
    found.push((single ?? double ?? plain!).replace(/['"]/g, ""));
  }
  return found;
}

/** Returns the arguments of every `shardferry` command line in code blocks and code spans. */
export function shardferryCalls({ text }: Document): string[][] {
  const scripts = codeBlocks(text, "sh", "bash", "console", "text").map((code) =>
    code.replace(/\\\n\s*/g, " "),
  );
  const lines = [...scripts.flatMap((script) => script.split("\n")), ...inlineCode(text)];
  return lines.flatMap((line) => {
    const [, command] =
      /^\s*(?:\$ |docker compose exec worker |(?:[A-Z_]+=(?:"[^"]*"|\S*) )*)?((?:npx |bin\/)?shardferry(?: \S.*)?)$/.exec(
        line,
      ) ?? [];
    return command === undefined ? [] : [words(command.replace(/^(npx |bin\/)/, "")).slice(1)];
  });
}
