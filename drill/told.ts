// What either side says of the rows that the ledger knows, in that side's own SQL.
import type { SideServer } from '../test/sync/servers.ts';
import type { Told } from './ledger.ts';
import { counterIds, wishMembers } from './operations.ts';
import type { Side } from './sides.ts';

/** The first word of a text is who wrote it: `base`, or a writer's token. */
const wordOf = (column: string) => `SUBSTRING_INDEX(CONVERT(${column} USING utf8mb4), ' ', 1)`;
/** A writer's number, by the name of its member. */
const writerOf = (column: string) =>
  `CASE CONVERT(${column} USING utf8mb4) ${wishMembers.map((name, writer) => `WHEN '${name}' THEN '${writer}'`).join(' ')} ELSE CONVERT(${column} USING utf8mb4) END`;

const wishes = (schema: string) => [
  `SELECT CONCAT('wish ', ${writerOf('MBR_ID')}, '/', PRD_NO), MEMO FROM ${schema}.TB_WISH WHERE MBR_ID NOT LIKE 'bulk%'`,
  `SELECT CONCAT('bulk ', SUBSTRING(CONVERT(MBR_ID USING utf8mb4), 5)), CONCAT(COUNT(*), ':', GROUP_CONCAT(DISTINCT MEMO)) FROM ${schema}.TB_WISH WHERE MBR_ID LIKE 'bulk%' GROUP BY MBR_ID`,
];

const rows: Readonly<Record<Side, readonly string[]>> = {
  legacy: [
    `SELECT CONCAT('review ', RVW_SEQ), CONCAT(${wordOf('RVW_CTNT')}, ':', DEL_YN) FROM shop.TB_RVW_MST`,
    `SELECT CONCAT('recommendation ', RVW_SEQ, '/', CONVERT(MBR_ID USING utf8mb4)), 'there' FROM shop.TB_RVW_RCMD`,
    `SELECT CONCAT('member ', ${writerOf('MBR_ID')}), CONVERT(MBR_NM USING utf8mb4) FROM shop.TB_MBR`,
    `SELECT CONCAT('product ', PRD_NO), CONVERT(PRD_NM USING utf8mb4) FROM shop.TB_PRD`,
    ...wishes('shop'),
  ],
  service: [
    `SELECT CONCAT('review ', id), CONCAT(${wordOf('body')}, ':', IF(deleted, 'Y', 'N')) FROM reviews.review`,
    `SELECT CONCAT('recommendation ', review_id, '/', CONVERT(member_id USING utf8mb4)), 'there' FROM reviews.review_recommendation`,
    `SELECT CONCAT('member ', ${writerOf('id')}), display_name FROM reviews.member`,
    `SELECT CONCAT('product ', id), title FROM reviews.product`,
    ...wishes('wishlist'),
  ],
};

const counters: Readonly<Record<Side, string>> = {
  legacy: `SELECT RVW_SEQ, VIEW_CNT FROM shop.TB_RVW_MST WHERE RVW_SEQ IN (${counterIds.join()})`,
  service: `SELECT id, view_count FROM reviews.review WHERE id IN (${counterIds.join()})`,
};

/** Asks for rows; each has a key and a value. */
export type Ask = (sql: string) => Promise<readonly object[]>;

async function pairs(ask: Ask, sql: string): Promise<[string, string][]> {
  return (await ask(sql)).map((row) => {
    const [key, value] = Object.values(row);
    return [String(key), String(value)];
  });
}

/** The counters that everybody counts: id → value. */
export const countersOn = async (side: Side, ask: Ask): Promise<ReadonlyMap<string, number>> =>
  new Map((await pairs(ask, counters[side])).map(([id, value]) => [id, Number(value)]));

export async function tell(side: Side, server: SideServer): Promise<Told> {
  const told = new Map<string, string>();
  for (const sql of rows[side])
    for (const [key, value] of await pairs(server.query, sql)) told.set(key, value);
  return { rows: told, counters: await countersOn(side, server.query) };
}
