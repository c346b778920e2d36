// The fence where it is enforced: triggers for each kind of write, on each captured table of either side. One before the row refuses where
// the fence row does not name its side or a turn is in force; one after it notes who writes. Here are their texts, which of them are in
// place, and what is to be run to get from there to another mode.
//
// The note comes after the row, not before: a server logs with the rows of a statement the text of what was first logged for it, and that is to
// be the writer's own statement (see sync/binlog/statement-trace.ts, and whoever reads a binlog).
import { createHash } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { Capability, Side } from './capability.ts';
import { fenceAccount, triggersProcedure } from './own-procedures.ts';

/** `observe` only notes who writes; `enforce` refuses as well. */
export type FenceMode = 'off' | 'observe' | 'enforce';

/** The captured tables of a side; reference tables follow legacy for ever. */
export function fencedTables({ tables }: Capability, side: Side): string[] {
  const names = tables.flatMap((each) => {
    if (isIdentity(each)) return [each.identity];
    return side === 'legacy' ? [each.source.table] : each.targets.map(({ table }) => table);
  });
  return [...new Set(names)];
}

const events = ['INSERT', 'UPDATE', 'DELETE'] as const;
type Event = (typeof events)[number];

const now = 'UNIX_TIMESTAMP(SYSDATE(6))';
/** CURRENT_USER() would be the definer; LIKE would take _ for anything. */
const isOther = "SUBSTRING_INDEX(USER(), '@', 1) <> 'banyan_apply'";

/** The time is asked for after the lock was waited for; the shared lock is what a turn waits for. */
const refuse = (capability: string, side: Side) => `
    SELECT owner, epoch, turn_deadline INTO fence_owner, fence_epoch, deadline
      FROM banyan.banyan_fence WHERE capability = '${capability}' LOCK IN SHARE MODE;
    IF fence_owner IS NULL OR fence_owner <> '${side}' OR (deadline IS NOT NULL AND ${now} <= deadline) THEN
      SET refusal = LEFT(CONCAT('banyan: refused: ${capability} is owned by ', COALESCE(fence_owner, 'nobody'),
        ' at epoch ', COALESCE(fence_epoch, 0), IF(fence_owner = '${side}', ', about to change hands', '')), 128);
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = refusal;
    END IF;`;

/** Rows of one session after which it is noted although the second is not over. */
const noteRows = 10_000;

/**
 * Each second, and not once for ever: the first note may be rolled back with its transaction. By the statement's own time,
 * which costs least: only a single statement of very many rows is noted by their number.
 */
const note = (capability: string) => `
    SET @\`banyan ${capability} rows\` = @\`banyan ${capability} rows\` + 1;
    IF @\`banyan ${capability} rows\` IS NULL OR @\`banyan ${capability} noted\` <> UNIX_TIMESTAMP()
        OR @\`banyan ${capability} rows\` >= ${noteRows} THEN
      INSERT IGNORE INTO banyan.banyan_written (session_id, at, capability, db_user, db_host, row_count)
        VALUES (CONNECTION_ID(), ${now}, '${capability}', SUBSTRING_INDEX(USER(), '@', 1),
          SUBSTRING_INDEX(USER(), '@', -1), COALESCE(@\`banyan ${capability} rows\`, 1));
      SET @\`banyan ${capability} noted\` = UNIX_TIMESTAMP(), @\`banyan ${capability} rows\` = 0;
    END IF;`;

type Part = { readonly timing: 'BEFORE' | 'AFTER'; readonly event: Event };

const partsOf = (mode: FenceMode): Part[] =>
  events.flatMap((event): Part[] => [
    ...(mode === 'enforce' ? [{ timing: 'BEFORE', event } as const] : []),
    ...(mode === 'off' ? [] : [{ timing: 'AFTER', event } as const]),
  ]);

const bodyOf = (capability: string, side: Side, { timing }: Part) =>
  timing === 'AFTER'
    ? `BEGIN
  IF ${isOther} THEN${note(capability)}
  END IF;
END`
    : `BEGIN
  DECLARE fence_owner, refusal VARCHAR(255) CHARACTER SET utf8mb4;
  DECLARE fence_epoch BIGINT UNSIGNED;
  DECLARE deadline DECIMAL(20,6);
  IF ${isOther} THEN${refuse(capability, side)}
  END IF;
END`;

const prefixOf = ({ timing, event }: Part) =>
  `banyan_${timing === 'BEFORE' ? 'fence' : 'note'}_${event.toLowerCase()}_`;

/** Another text is another name: the new trigger is there before the old one goes. Names are unique in a schema, and short. */
function nameOf(part: Part, table: string, body: string): string {
  const digest = createHash('sha256').update(`${table}\0${body}`).digest('hex').slice(0, 8);
  const room = 64 - prefixOf(part).length - digest.length - 1;
  return `${prefixOf(part)}${[...table].slice(0, room).join('')}_${digest}`;
}

export type TriggerRow = {
  readonly table: string;
  readonly timing: string;
  readonly event: string;
  readonly place: number;
  readonly name: string;
  readonly definer: string;
  readonly body: string;
};

/** @throws the driver's error where the procedure is not there: `banyan install` makes it */
export async function readTriggers(sql: Connection, schema: string): Promise<TriggerRow[]> {
  const [results] = await sql.query<RowDataPacket[][]>(`CALL banyan.${triggersProcedure}(?)`, [schema]);
  return (results[0] ?? []).map((row) => ({
    table: String(row.on_table),
    timing: String(row.timing),
    event: String(row.event),
    place: Number(row.place),
    name: String(row.name),
    definer: String(row.definer),
    body: String(row.body),
  }));
}

export type FencePlace = {
  readonly capability: string;
  readonly side: Side;
  readonly schema: string;
  readonly tables: readonly string[];
};

const isDefiner = (definer: string) => definer.replaceAll(/[`']/g, '') === fenceAccount.replaceAll("'", '');

const isAt = (trigger: TriggerRow, table: string, { timing, event }: Part) =>
  trigger.table === table && trigger.timing === timing && trigger.event === event;

/** To the letter, and by its right account: one of another version of Banyan, or of the other side, does not count. */
const isInPlace = (
  { capability, side }: FencePlace,
  triggers: readonly TriggerRow[],
  table: string,
  part: Part,
) => {
  const body = bodyOf(capability, side, part);
  return triggers.some(
    (each) => isAt(each, table, part) && each.body.trim() === body && isDefiner(each.definer),
  );
};

/** By table; `off` where a single kind of write is not watched as it should be. */
export function modesOf(place: FencePlace, triggers: readonly TriggerRow[]): Map<string, FenceMode> {
  const all = (table: string, mode: FenceMode) =>
    partsOf(mode).every((part) => isInPlace(place, triggers, table, part));
  return new Map(
    place.tables.map((table) => [
      table,
      all(table, 'enforce') ? 'enforce' : all(table, 'observe') ? 'observe' : 'off',
    ]),
  );
}

/** What an account without the right to triggers may ask, too. */
export async function readFenceModes(
  sql: Connection,
  schema: string,
  tables: readonly string[],
  capability: string,
  side: Side,
): Promise<ReadonlyMap<string, FenceMode>> {
  return modesOf({ capability, side, schema, tables }, await readTriggers(sql, schema));
}

const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``;

export type FenceStatement = { readonly table: string; readonly sql: string };

/** From what is in place to `mode`: new triggers are made before old ones are dropped, so that no write passes between. */
export function fenceStatements(
  place: FencePlace,
  triggers: readonly TriggerRow[],
  mode: FenceMode,
): FenceStatement[] {
  const wanted = partsOf(mode);
  return place.tables.flatMap((table) => {
    const made: string[] = [];
    const dropped: string[] = [];
    for (const part of partsOf('enforce')) {
      const here = triggers.filter((each) => isAt(each, table, part));
      const ours = here.filter(({ name }) => name.startsWith(prefixOf(part)));
      const isWanted = wanted.some(({ timing, event }) => timing === part.timing && event === part.event);
      const statements = isWanted ? newTrigger(place, table, part, here) : undefined;
      made.push(...(statements?.sql ?? []));
      for (const { name } of ours) if (name !== statements?.name) dropped.push(dropTrigger(place, name));
    }
    return [...made, ...dropped].map((sql) => ({ table, sql }));
  });
}

const dropTrigger = ({ schema }: FencePlace, name: string) =>
  `DROP TRIGGER IF EXISTS ${quote(schema)}.${quote(name)}`;

function newTrigger(
  place: FencePlace,
  table: string,
  part: Part,
  here: readonly TriggerRow[],
): { name: string; sql: string[] } {
  const { capability, side, schema } = place;
  const body = bodyOf(capability, side, part);
  const name = nameOf(part, table, body);
  if (isInPlace(place, here, table, part)) return { name, sql: [] };
  // One of this name that is not to the letter was made by hand, or as somebody else.
  const taken = here.some((each) => each.name === name);
  const others = here.filter((each) => each.name !== name).toSorted((a, b) => a.place - b.place);
  const first = others[0] ? ` PRECEDES ${quote(others[0].name)}` : '';
  return {
    name,
    sql: [
      ...(taken ? [dropTrigger(place, name)] : []),
      `CREATE DEFINER=${fenceAccount} TRIGGER ${quote(schema)}.${quote(name)} ${part.timing} ${part.event} ON ${quote(schema)}.${quote(table)} FOR EACH ROW${first}\n${body}`,
    ],
  };
}
