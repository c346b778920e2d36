// A table as the configuration uses it, against the table as the server has it.
import type { TableUse } from './captured.ts';
import { isRead, isWritten } from './captured.ts';
import type { Finding, FindingCode, FindingServer, Severity } from './finding.ts';
import type { SchemaFacts, TableFacts } from './schema-facts.ts';
import type { ServerFacts } from './server-facts.ts';
import { applier, judgeTrigger } from './triggers.ts';

export const serverOf = (side: TableUse['side']): FindingServer =>
  side === 'legacy' ? 'legacy' : 'services';

type Say = (code: FindingCode, severity: Severity, what: string, remedy: string, part?: string) => Finding;

const sayOf =
  ({ capability, side, schema, table }: TableUse): Say =>
  (code, severity, what, remedy, part) => ({
    code,
    severity,
    server: serverOf(side),
    capability,
    object: `${schema}.${table}${part === undefined ? '' : `.${part}`}`,
    what,
    remedy,
  });

/** A name that differs in nothing but its letters' case. */
const likely = (names: Iterable<string>, wanted: string) =>
  [...names].find((name) => name.toLowerCase() === wanted.toLowerCase());

function missing({ schema, table }: TableUse, say: Say, facts: SchemaFacts): Finding {
  const other = likely(facts.keys(), table);
  return other === undefined
    ? say(
        'table-missing',
        'refuse',
        `there is no table ${schema}.${table}`,
        'start the application that owns it, so that it makes its schema, or correct the configuration',
      )
    : say(
        'name-case',
        'refuse',
        `the configuration says ${table}, the server ${other}: changes are logged under the latter, and would be passed over`,
        `write ${other} in the configuration`,
      );
}

function columnFindings(use: TableUse, { columns }: TableFacts, say: Say): Finding[] {
  const names = columns.map(({ name }) => name);
  const wanted = [use.reads, use.writes].flatMap((each) => (each === 'all' ? [] : each));
  const absent = [...new Set(wanted)].filter((name) => !names.includes(name));
  const generated = columns.filter(
    ({ name, isGenerated }) => isGenerated && use.writes !== 'all' && use.writes.includes(name),
  );
  const given = (names: readonly string[] | 'all', name: string) => names === 'all' || names.includes(name);
  const bare = columns.filter(
    ({ name, mustBeGiven }) => mustBeGiven && use.inserts.some((names) => !given(names, name)),
  );
  return [
    ...bare.map(({ name }) =>
      say(
        'column-without-default',
        'refuse',
        `new rows of ${use.table} come without ${name}, which may not be NULL and has no default`,
        `ALTER TABLE ${use.table} ALTER COLUMN ${name} SET DEFAULT …, or let it be NULL, or have the translator write it`,
        name,
      ),
    ),
    ...absent.map((name) => {
      const other = likely(names, name);
      return say(
        'column-missing',
        'refuse',
        `a translator needs ${use.table}.${name}, and the table has ${other === undefined ? 'no such column' : `"${other}"`}`,
        'add the column, or correct the translator',
        name,
      );
    }),
    ...generated.map(({ name }) =>
      say(
        'generated-column',
        'refuse',
        `a translator writes ${use.table}.${name}, which the server computes by itself`,
        'take the column out of the translator, or make it an ordinary one',
        name,
      ),
    ),
  ];
}

const sameColumns = (one: readonly string[], other: readonly string[]) =>
  one.length === other.length && one.every((name) => other.includes(name));

function keyFindings({ keys, table }: TableUse, { uniqueKeys }: TableFacts, say: Say): Finding[] {
  const primary = uniqueKeys.find(({ name }) => name === 'PRIMARY');
  if (!primary)
    return [
      say(
        'no-primary-key',
        'refuse',
        `${table} has no primary key: its rows cannot be told apart`,
        `ALTER TABLE ${table} ADD PRIMARY KEY (…)`,
      ),
    ];
  const isKey = (key: readonly string[]) =>
    uniqueKeys.some(({ isFirm, columns }) => isFirm && sameColumns(columns, key));
  return keys
    .filter((key) => !isKey(key))
    .map((key) =>
      say(
        'key-differs',
        'refuse',
        `a translator takes (${key.join(', ')}) for the key of ${table}, whose primary key is (${primary.columns.join(', ')}): one change could meet several rows, or none`,
        'correct the key in the translator, or give the table a unique key over these columns, all of them NOT NULL',
      ),
    );
}

/** @param inside tables of the capability on this side, as `schema.table` */
function cascadeFindings(
  use: TableUse,
  { cascades }: TableFacts,
  server: ServerFacts,
  inside: ReadonlySet<string>,
  say: Say,
): Finding[] {
  // From MySQL 9.6 on cascades are logged, unless InnoDB is told to do them on its own.
  const areLogged = server.variables.get('innodb_native_foreign_keys') === 'OFF';
  return cascades
    .filter(({ parent }) => !(areLogged && inside.has(parent)))
    .map(({ constraint, parent, rules }) =>
      say(
        'cascade-into',
        'refuse',
        areLogged
          ? `${rules.join(', ')} changes rows of ${use.table} when ${parent} changes, which is outside of the capability: the fence does not see that`
          : `${rules.join(', ')} changes rows of ${use.table} when ${parent} changes, and the binlog does not say so`,
        `replace the foreign key by one with ON DELETE RESTRICT, and let the application change the rows of ${use.table} itself`,
        constraint,
      ),
    );
}

function triggerFindings(
  use: TableUse,
  { triggers }: TableFacts,
  streamed: ReadonlySet<string>,
  say: Say,
): Finding[] {
  const except = `let its body do nothing for the worker: IF SUBSTRING_INDEX(USER(), '@', 1) <> '${applier}' THEN … END IF`;
  return triggers.flatMap((trigger) => {
    const { name, when } = trigger;
    const verdict = judgeTrigger(trigger, streamed);
    if (verdict.kind === 'fine') return [];
    const fires =
      use.side === 'service'
        ? 'fires for every row that the stream writes'
        : 'fires for every row that the stream writes back, once the service owns';
    const [severity, what] =
      verdict.kind === 'follows'
        ? ([
            'warn',
            'right for what it derives from these rows, wrong for mails or what else is done once',
          ] as const)
        : ([use.side === 'service' ? 'refuse' : 'warn', `it ${verdict.what}`] as const);
    return [
      say(
        'trigger-on-target',
        severity,
        `trigger ${name} (${when}) ${fires}: ${what}`,
        severity === 'refuse' ? `drop it, or ${except}` : `know it, or ${except}`,
        name,
      ),
    ];
  });
}

/** What a table is held against besides itself. */
export type Around = {
  readonly server: ServerFacts;
  /** Tables of the capability on this side, as `schema.table`. */
  readonly inside: ReadonlySet<string>;
  /** Tables of this side that the stream writes. */
  readonly streamed: ReadonlySet<string>;
};

/** Everything that is wrong with one table. */
export function tableFindings(
  use: TableUse,
  facts: SchemaFacts,
  { server, inside, streamed }: Around,
): Finding[] {
  const say = sayOf(use);
  const table = facts.get(use.table);
  if (!table) return [missing(use, say, facts)];
  if (table.engine === 'view')
    return [
      say(
        'not-innodb',
        'refuse',
        `${use.table} is a view: changes are logged for the table below it`,
        'name that table',
      ),
    ];
  const engine =
    table.engine === 'InnoDB'
      ? []
      : [
          say(
            'not-innodb',
            'refuse',
            `${use.table} is a ${table.engine} table: its changes are in no transaction, and no fence holds for it`,
            `ALTER TABLE ${use.table} ENGINE = InnoDB`,
          ),
        ];
  const partitioned = table.isPartitioned
    ? [
        say(
          'partitioned',
          'refuse',
          `${use.table} is partitioned: EXCHANGE, DROP and TRUNCATE PARTITION change rows that the binlog does not list, past the fence`,
          `ALTER TABLE ${use.table} REMOVE PARTITIONING`,
        ),
      ]
    : [];
  return [
    ...engine,
    ...keyFindings(use, table, say),
    ...columnFindings(use, table, say),
    ...partitioned,
    ...(isRead(use) ? cascadeFindings(use, table, server, inside, say) : []),
    ...(isWritten(use) ? triggerFindings(use, table, streamed, say) : []),
  ];
}
