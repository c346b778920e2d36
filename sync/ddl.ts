// Which statements in the binlog concern captured tables.
import { namesIn } from './binlog/query.ts';

/** DDL that changes neither a table's rows nor its columns. */
const harmless =
  /^\s*(optimize|repair|(create|drop)\s+(or\s+replace\s+)?(algorithm\s*=\s*\S+\s+)?(definer\s*=\s*\S+\s+)?(sql\s+security\s+\S+\s+)?(trigger|view|(unique\s+|fulltext\s+|spatial\s+)?index))\b/i;

const name = '(?:`(?:[^`]|``)*`|[\\p{L}\\p{N}_$\\u0080-\\uffff]+(?![\\p{L}\\p{N}_$]))';
/** INSERT and REPLACE change the table that they name first; what they select from they only read. */
const into = new RegExp(
  `^\\s*(?:insert|replace)\\s+(?:low_priority\\s+|delayed\\s+|high_priority\\s+|ignore\\s+)*(?:into\\s+)?(${name}(?:\\s*\\.\\s*${name})?)`,
  'iu',
);

/**
 * The captured table that a statement changes or redefines; `*` for all of them.
 * @param tables names of the captured tables of `schema`
 * @param current the session's default database
 */
export function concernedTable(
  sql: string,
  current: string,
  schema: string,
  tables: Iterable<string>,
): string | undefined {
  if (harmless.test(sql)) return undefined;
  const names = namesIn(into.exec(sql)?.[1] ?? sql);
  if (current !== schema && !names.has(schema.toLowerCase())) return undefined;
  if (/^\s*drop\s+(database|schema)\b/i.test(sql)) return '*';
  return [...tables].find((name) => names.has(name.toLowerCase()));
}
