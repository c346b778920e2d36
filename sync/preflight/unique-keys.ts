// Unique keys of a target that could make two rows of the source one: the source does not have the key, or tells
// more texts apart than the target does ('a' and 'A', trailing spaces). Where the data already has such rows, they
// are shown.
import type { Connection } from 'mysql2/promise';
import type { Side } from '../../capability/capability.ts';
import { quoteName } from '../literal.ts';
import type { Finding } from './finding.ts';
import type { ColumnPair, Link } from './links.ts';
import type { ColumnFacts, UniqueKey } from './schema-facts.ts';
import { codeOf, rowsOf, type ServerFacts } from './server-facts.ts';
import { serverOf } from './table-findings.ts';

/** Looking through a table ends after so long. */
const lookMsMax = 10_000;

const isBinary = (collation: string | undefined) => collation === undefined || /_bin$/.test(collation);
/** MySQL's newer collations, and MariaDB's that say so, tell 'a' from 'a '. */
const isNoPad = (collation: string | undefined) => collation === undefined || /nopad|_0900_/.test(collation);

/** A collation's rules, whatever character set it is for: `unicode_ci`. */
const rulesOf = (collation: string) => collation.replace(/^[^_]+_/, '');

/**
 * Whether the target may hold two values for one that the source tells apart. Collations of two families may, and
 * nobody knows without a look.
 */
export function mayMerge(source: ColumnFacts, target: ColumnFacts): boolean {
  const [from, to] = [source.collation, target.collation];
  if (to === undefined) return false;
  if (from === undefined) return /char|text|binary|blob|enum|set/.test(source.type);
  if (rulesOf(from) === rulesOf(to) && isNoPad(from) === isNoPad(to)) return false;
  return !isBinary(to) || (!isNoPad(to) && isNoPad(from));
}

type Suspicion = {
  readonly link: Link;
  readonly key: UniqueKey;
  /** In the order of the key. */
  readonly pairs: readonly ColumnPair[];
  /** Texts that the target tells less apart; none where the source just has no such key. */
  readonly merging: readonly ColumnPair[];
};

/** Unique keys of the target's tables that are worth a look at the source's rows. */
export function suspicions(link: Link, source: Side, target: Side): Suspicion[] {
  return link.tables[target].uniqueKeys.flatMap((key): Suspicion[] => {
    const pairs = key.columns.flatMap((name) =>
      link.pairs.filter((pair) => pair[target].facts.name === name),
    );
    // A key over what comes from elsewhere: nothing can be said by this table alone.
    if (pairs.length !== key.columns.length) return [];
    const merging = pairs.filter((pair) => mayMerge(pair[source].facts, pair[target].facts));
    const exact = pairs.filter((pair) => !merging.includes(pair)).map((pair) => pair[source].facts.name);
    const isToldApart = link.tables[source].uniqueKeys.some(({ columns }) =>
      columns.every((name) => exact.includes(name)),
    );
    // Whether a translator's key is one on both sides is judged with the tables.
    const isOwnKey = merging.length === 0 && key.columns.every((name) => link.keys[target].includes(name));
    return isToldApart || isOwnKey ? [] : [{ link, key, pairs, merging }];
  });
}

/** The source's column as the target would compare it. */
function asTarget({ facts: source }: ColumnPair[Side], { facts: target }: ColumnPair[Side]): string {
  const name = quoteName(source.name);
  return target.collation === undefined || source.collation === target.collation
    ? name
    : `CONVERT(${name} USING ${target.charset}) COLLATE ${target.collation}`;
}

/** @returns the count of rows that would be one, and their values; undefined when there are none */
async function example(
  sql: Connection,
  { dialect }: ServerFacts,
  { link, pairs }: Suspicion,
  source: Side,
  target: Side,
): Promise<string | undefined> {
  const compared = pairs.map((pair) => asTarget(pair[source], pair[target]));
  const shown = pairs.map((pair, index) => {
    const name = quoteName(pair[source].facts.name);
    const text = `CONVERT(${name} USING utf8mb4)`;
    return `CONCAT('"', MIN(${text} COLLATE utf8mb4_bin), '" and "', MAX(${text} COLLATE utf8mb4_bin), '"') AS v${index}`;
  });
  const names = pairs.map((pair) => quoteName(pair[source].facts.name));
  const limit =
    dialect === 'mariadb'
      ? [`SET STATEMENT max_statement_time = ${lookMsMax / 1_000} FOR SELECT`]
      : [`SELECT /*+ MAX_EXECUTION_TIME(${lookMsMax}) */`];
  const [row] = await rowsOf(
    sql,
    `${limit} ${shown.join(', ')} FROM ${quoteName(link.schemas[source])}.${quoteName(link.tables[source].table)}
     WHERE ${names.map((name) => `${name} IS NOT NULL`).join(' AND ')}
     GROUP BY ${compared.join(', ')} HAVING COUNT(*) > 1 LIMIT 1`,
  );
  return row && pairs.map((pair, index) => `${pair[source].facts.name} ${row[`v${index}`]}`).join(', ');
}

const unlooked: Readonly<Record<string, string>> = {
  ER_STATEMENT_TIMEOUT: `the table could not be looked through within ${lookMsMax / 1_000} s`,
  ER_QUERY_TIMEOUT: `the table could not be looked through within ${lookMsMax / 1_000} s`,
  ER_UNKNOWN_COLLATION: 'its server does not know the collation, so its rows were not looked at',
  ER_UNKNOWN_CHARACTER_SET: 'its server does not know the character set, so its rows were not looked at',
};

async function look(
  sql: Connection,
  server: ServerFacts,
  suspicion: Suspicion,
  source: Side,
  target: Side,
): Promise<{ readonly found: string | undefined; readonly words: string }> {
  try {
    const found = await example(sql, server, suspicion, source, target);
    return { found, words: found ?? 'no two rows are that now' };
  } catch (error) {
    const why = unlooked[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
    return { found: undefined, words: why };
  }
}

/** What could become one row from `source` to `target`, with an example where there is one. */
export async function uniqueFindings(
  sql: Connection,
  server: ServerFacts,
  links: readonly Link[],
  source: Side,
  target: Side,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const suspicion of links.flatMap((link) => suspicions(link, source, target))) {
    const { link, key, pairs, merging } = suspicion;
    const { found, words } = await look(sql, server, suspicion, source, target);
    const from = `${link.schemas[source]}.${link.tables[source].table}`;
    const common = {
      severity: found === undefined ? 'warn' : 'refuse',
      server: serverOf(target),
      capability: link.capability,
      object: `${link.schemas[target]}.${link.tables[target].table}.${key.name}`,
    } as const;
    if (merging.length > 0)
      findings.push({
        ...common,
        code: 'collation-merges',
        what: `values of ${from} that differ may be equal here: ${merging.map((pair) => `${pair[source].facts.name} is ${pair[source].facts.collation ?? pair[source].facts.type} there, ${pair[target].facts.collation} here`).join('; ')}; ${words}`,
        remedy: `give ${merging.map((pair) => pair[target].facts.name).join(', ')} a collation that tells the same texts apart${found === undefined ? '' : ', or mend these rows'}`,
      });
    else
      findings.push({
        ...common,
        code: 'unique-only-on-target',
        what: `${from} has no unique key over (${pairs.map((pair) => pair[source].facts.name).join(', ')}): two of its rows could be refused as one; ${words}`,
        remedy: `make the key an ordinary index, or give ${from} the same unique key${found === undefined ? '' : ' once these rows are mended'}`,
      });
  }
  return findings;
}
