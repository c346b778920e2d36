// Statements in the binlog: what they are, without a parser of SQL. Where a guess is possible it errs towards
// "may concern that table".
import { decodeLoosely } from './charset.ts';
import { Cursor } from './cursor.ts';
import { eventType } from './event.ts';
import type { Collations } from './table-map.ts';

export type QueryEvent = {
  /** The session's default database; empty for none. */
  readonly schema: string;
  readonly sql: string;
  /** Not 0 when the statement failed half-way on the source (statement format only). */
  readonly errorCode: number;
};

const statusVariable = {
  flags2: 0,
  sqlMode: 1,
  catalog: 2,
  autoIncrement: 3,
  charset: 4,
  timeZone: 5,
  catalogNz: 6,
};

/** The client's character set is the fifth thing at most; what comes after it is of no use here. */
function clientCollation(variables: Cursor): number | undefined {
  while (variables.left > 0) {
    const code = variables.u8();
    if (code === statusVariable.flags2) variables.take(4);
    else if (code === statusVariable.sqlMode) variables.take(8);
    else if (code === statusVariable.catalog) variables.take(variables.u8() + 1);
    else if (code === statusVariable.autoIncrement) variables.take(4);
    else if (code === statusVariable.charset) return variables.u16();
    else if (code === statusVariable.timeZone || code === statusVariable.catalogNz)
      variables.take(variables.u8());
    else return undefined;
  }
  return undefined;
}

export function readQuery(type: number, body: Buffer, collations: Collations): QueryEvent {
  const cursor = new Cursor(body);
  cursor.take(8);
  const schemaBytes = cursor.u8();
  const errorCode = cursor.u16();
  const variablesBytes = cursor.u16();
  // LOAD DATA in statement format has a file's number and three more numbers here.
  if (type === eventType.executeLoadQuery) cursor.take(4 + 4 + 4 + 1);
  const variables = new Cursor(cursor.bytes(variablesBytes));
  const schema = cursor.utf8(schemaBytes);
  cursor.take(1);
  const collation = clientCollation(variables);
  const charset = collation === undefined ? undefined : collations.get(collation);
  return { schema, sql: decodeLoosely(charset, cursor.rest()), errorCode };
}

/** `control` ends or divides transactions; `other` changes neither rows nor tables (FLUSH, GRANT, SET …). */
export type StatementClass = 'ddl' | 'dml' | 'control' | 'other';

/** Blanks and comments in front; a comment that the server executes is not one. */
const frontPattern = /^(?:\s+|\/\*(?![!M])[\s\S]*?\*\/|--[ \t][^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|\/\*M?!\d*|\()*/;

const classes = new Map<string, StatementClass>([
  ...['create', 'alter', 'drop', 'rename', 'truncate', 'import'].map((word): [string, StatementClass] => [
    word,
    'ddl',
  ]),
  ...['insert', 'update', 'delete', 'replace', 'load', 'with', 'select', 'call', 'do', 'values', 'table'].map(
    (word): [string, StatementClass] => [word, 'dml'],
  ),
  ...['begin', 'start', 'commit', 'rollback', 'savepoint', 'release', 'xa'].map(
    (word): [string, StatementClass] => [word, 'control'],
  ),
]);

/** CREATE and DROP of what is no table. */
const noTablePattern =
  /^(?:create|alter|drop|rename)\s+(?:or\s+replace\s+|definer\s*=\s*\S+\s+|if\s+(?:not\s+)?exists\s+)*(?:user|role|event|function|procedure|package|aggregate\s+function|server|sequence|resource|logfile|undo|spatial\s+reference|instance|library)\b/i;

export function classifyStatement(sql: string): StatementClass {
  const text = sql.slice(frontPattern.exec(sql)?.[0].length ?? 0);
  const word = /^[a-z]+/i.exec(text)?.[0].toLowerCase();
  const found = word === undefined ? undefined : classes.get(word);
  if (found === 'ddl' && noTablePattern.test(text)) return 'other';
  // What is not known to be harmless is treated as what it could be at worst.
  return found ?? (harmless.has(word ?? '') ? 'other' : 'ddl');
}

const harmless: ReadonlySet<string> = new Set([
  'grant',
  'revoke',
  'flush',
  'set',
  'analyze',
  'optimize',
  'repair',
  'check',
  'reset',
  'install',
  'uninstall',
  'purge',
  'kill',
  'shutdown',
  'change',
  'lock',
  'unlock',
]);

const namePattern =
  /`((?:[^`]|``)*)`|"((?:[^"]|"")*)"|'(?:[^'\\]|\\.|'')*'|([\p{L}\p{N}_$\u0080-\uffff]+)/gsu;

/**
 * Every word and quoted name of a statement, in lower case: whatever it could concern is among them. Words of
 * ordinary comments are too; texts in single quotes are not.
 */
export function namesIn(sql: string): Set<string> {
  const names = new Set<string>();
  for (const [, backticked, quoted, word] of sql.matchAll(namePattern)) {
    const name = backticked?.replaceAll('``', '`') ?? quoted?.replaceAll('""', '"') ?? word;
    if (name !== undefined) names.add(name.toLowerCase());
  }
  return names;
}
