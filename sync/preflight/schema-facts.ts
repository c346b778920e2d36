// What a server says of the tables of one schema: columns, keys, counters, and what changes rows unasked.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { rowsOf, type ServerFacts } from './server-facts.ts';

export type ColumnFacts = {
  readonly name: string;
  /** As in information_schema: `varchar`, `bigint`, … */
  readonly type: string;
  /** With length and sign: `bigint(20) unsigned`. */
  readonly fullType: string;
  readonly isGenerated: boolean;
  readonly isCounter: boolean;
  /** An INSERT without it is refused: it is NOT NULL and has no default. */
  readonly mustBeGiven: boolean;
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  /** The most bytes of a text or binary value. */
  readonly bytesMax: number;
};

export type UniqueKey = {
  readonly name: string;
  readonly columns: readonly string[];
  /** Over whole columns that are never NULL: it tells any two rows apart. */
  readonly isFirm: boolean;
};

export type Cascade = {
  readonly constraint: string;
  /** `schema.table` */
  readonly parent: string;
  /** `ON DELETE CASCADE`, … */
  readonly rules: readonly string[];
};

export type TriggerFacts = { readonly name: string; readonly when: string; readonly body: string };

export type TableFacts = {
  readonly table: string;
  /** `InnoDB`; `view` for a view. */
  readonly engine: string;
  readonly isPartitioned: boolean;
  /** An estimate. */
  readonly rows: number;
  /** The next AUTO_INCREMENT value. */
  readonly counter: bigint | undefined;
  readonly columns: readonly ColumnFacts[];
  /** The primary key is named PRIMARY. */
  readonly uniqueKeys: readonly UniqueKey[];
  readonly cascades: readonly Cascade[];
  readonly triggers: readonly TriggerFacts[];
};

/** By their names as the server has them. */
export type SchemaFacts = ReadonlyMap<string, TableFacts>;

const text = (value: unknown) => (value === null || value === undefined ? undefined : String(value));

function columnFacts(row: RowDataPacket): ColumnFacts {
  const extra = String(row.extra);
  const type = String(row.type).toLowerCase();
  const isBinary = row.charset === null || row.charset === 'binary';
  return {
    name: String(row.name),
    type,
    fullType: String(row.fullType),
    isGenerated: /GENERATED/i.test(extra) && !/DEFAULT_GENERATED/i.test(extra),
    isCounter: /auto_increment/i.test(extra),
    // An ENUM has its first member.
    mustBeGiven:
      row.nullable === 'NO' &&
      row.preset === null &&
      type !== 'enum' &&
      !/auto_increment|GENERATED/i.test(extra),
    charset: isBinary ? undefined : text(row.charset),
    collation: isBinary ? undefined : text(row.collation),
    bytesMax: Number(row.bytesMax ?? 0),
  };
}

function uniqueKeys(rows: readonly RowDataPacket[]): UniqueKey[] {
  return [...Map.groupBy(rows, ({ name }) => String(name))].map(([name, parts]) => ({
    name,
    // A part of MySQL's functional indexes has no column.
    columns: parts.map(({ col }) => String(col ?? '')),
    isFirm: parts.every(({ col, nullable, part }) => col !== null && nullable !== 'YES' && part === null),
  }));
}

const changing = /^(CASCADE|SET NULL|SET DEFAULT)$/;

function cascades(rows: readonly RowDataPacket[]): Cascade[] {
  return rows.flatMap(({ name, parentSchema, parent, onDelete, onUpdate }) => {
    const rules = [
      ...(changing.test(onDelete) ? [`ON DELETE ${onDelete}`] : []),
      ...(changing.test(onUpdate) ? [`ON UPDATE ${onUpdate}`] : []),
    ];
    return rules.length > 0 ? [{ constraint: String(name), parent: `${parentSchema}.${parent}`, rules }] : [];
  });
}

const questions = {
  tables: `SELECT TABLE_NAME AS t, ENGINE AS engine, TABLE_TYPE AS kind, CREATE_OPTIONS AS options, TABLE_ROWS AS row_count,
      CAST(AUTO_INCREMENT AS CHAR) AS counter
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN (?)`,
  columns: `SELECT TABLE_NAME AS t, COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS fullType, EXTRA AS extra,
      IS_NULLABLE AS nullable, COLUMN_DEFAULT AS preset, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation,
      CHARACTER_OCTET_LENGTH AS bytesMax
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN (?) ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  indexes: `SELECT TABLE_NAME AS t, INDEX_NAME AS name, COLUMN_NAME AS col, NULLABLE AS nullable, SUB_PART AS part
    FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN (?) AND NON_UNIQUE = 0
    ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
  foreignKeys: `SELECT TABLE_NAME AS t, CONSTRAINT_NAME AS name, UNIQUE_CONSTRAINT_SCHEMA AS parentSchema,
      REFERENCED_TABLE_NAME AS parent, DELETE_RULE AS onDelete, UPDATE_RULE AS onUpdate
    FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ? AND TABLE_NAME IN (?)`,
  triggers: `SELECT EVENT_OBJECT_TABLE AS t, TRIGGER_NAME AS name, CONCAT(ACTION_TIMING, ' ', EVENT_MANIPULATION) AS moment,
      ACTION_STATEMENT AS body
    FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE IN (?) ORDER BY TRIGGER_NAME`,
} as const;

/**
 * The tables of these names, whatever the case of their letters, that the account may see something of.
 * @param withTriggers whether it may see triggers: some servers show their names without their bodies
 */
export async function readSchema(
  sql: Connection,
  server: ServerFacts,
  schema: string,
  wanted: readonly string[],
  withTriggers: boolean,
): Promise<SchemaFacts> {
  // MySQL keeps counters and sizes for a day.
  if (server.dialect === 'mysql' && server.variables.has('information_schema_stats_expiry'))
    await sql.query('SET SESSION information_schema_stats_expiry = 0');
  const lower = new Set(wanted.map((name) => name.toLowerCase()));
  // Names alone are cheap; everything else has the server open each table that is asked about.
  const all = await rowsOf(
    sql,
    'SELECT TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?',
    [schema],
  );
  const names = all.map(({ t }) => String(t)).filter((name) => lower.has(name.toLowerCase()));
  const ask = async (question: keyof typeof questions): Promise<ReadonlyMap<string, RowDataPacket[]>> =>
    names.length === 0
      ? new Map()
      : Map.groupBy(await rowsOf(sql, questions[question], [schema, names]), ({ t }) => String(t));
  const tables = await ask('tables');
  const columns = await ask('columns');
  const indexes = await ask('indexes');
  const foreign = await ask('foreignKeys');
  const triggers = withTriggers ? await ask('triggers') : new Map<string, RowDataPacket[]>();
  return new Map(
    [...tables].map(([table, [row]]) => [
      table,
      {
        table,
        engine: row?.kind === 'BASE TABLE' ? String(row?.engine) : 'view',
        isPartitioned: /partitioned/i.test(String(row?.options)),
        rows: Number(row?.row_count ?? 0),
        counter: row?.counter == null ? undefined : BigInt(String(row.counter)),
        columns: (columns.get(table) ?? []).map(columnFacts),
        uniqueKeys: uniqueKeys(indexes.get(table) ?? []),
        cascades: cascades(foreign.get(table) ?? []),
        triggers: (triggers.get(table) ?? []).map(({ name, moment, body }) => ({
          name: String(name),
          when: String(moment),
          body: String(body),
        })),
      },
    ]),
  );
}

/** Whether the account would be shown the triggers of a schema. */
export async function seesTriggers(sql: Connection, schema: string): Promise<boolean> {
  const rows = await rowsOf(
    sql,
    `SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER' AND GRANTEE = (${grantee})
     UNION SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER' AND GRANTEE = (${grantee}) AND ? LIKE TABLE_SCHEMA`,
    [schema],
  );
  return rows.length > 0;
}

/** The account as information_schema writes it. */
const grantee =
  "SELECT CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')";
