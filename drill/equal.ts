// Both sides row by row, by SQL that knows nothing of the translators: each side says its rows in the same words.
import type { SideServer } from '../test/sync/servers.ts';

type Pairing = {
  readonly what: string;
  /** Key and value. */
  readonly legacy: string;
  readonly service: string;
};

const text = (column: string) => `CONVERT(${column} USING utf8mb4)`;
const words = (...parts: string[]) => `CONCAT_WS('|', ${parts.join(', ')})`;
const orNull = (value: string) => `COALESCE(${value}, 'NULL')`;
/** Fourteen digits of Seoul's time are nine hours before UTC. */
const fromSeoul = (column: string) =>
  `CAST(STR_TO_DATE(${column}, '%Y%m%d%H%i%s') - INTERVAL 9 HOUR AS CHAR)`;
/** What legacy's character set has not it keeps as a number. */
const spelledOut = (value: string) =>
  value.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
const wishOf = (schema: string) =>
  `SELECT ${words('HEX(MBR_ID)', 'PRD_NO')}, ${words('HEX(MEMO)', 'HEX(RGST_DTM)')} FROM ${schema}.TB_WISH`;

const pairings: readonly Pairing[] = [
  {
    what: 'review',
    legacy: `SELECT RVW_SEQ, ${words('PRD_NO', text('MBR_ID'), 'CAST(STAR_PNT AS UNSIGNED)', text('RVW_CTNT'), "ELT(CHNL_CD, 'desktop', 'mobile', 'app')", "IF(DSP_YN = 'Y', 'visible', 'hidden')", "DEL_YN = 'Y'", 'VIEW_CNT', 'RCMD_CNT', fromSeoul('RGST_DTM'), orNull("IF(MOD_DTM = '0000-00-00 00:00:00', NULL, CAST(MOD_DTM - INTERVAL 9 HOUR AS CHAR))"))} FROM shop.TB_RVW_MST`,
    service: `SELECT id, ${words('product_id', text('author_id'), 'rating', 'body', text('channel'), text('visibility'), 'deleted', 'view_count', 'recommend_count', 'CAST(created_at AS CHAR)', orNull('CAST(updated_at AS CHAR)'))} FROM reviews.review`,
  },
  {
    what: 'photo',
    legacy: `SELECT ${words('RVW_SEQ', 'IMG_SEQ')}, ${text('FILE_NM')} FROM shop.TB_RVW_IMG`,
    service: `SELECT ${words('review_id', 'position')}, ${text('file_name')} FROM reviews.review_photo`,
  },
  {
    what: 'recommendation',
    legacy: `SELECT ${words('RVW_SEQ', text('MBR_ID'))}, ${fromSeoul('RGST_DTM')} FROM shop.TB_RVW_RCMD`,
    service: `SELECT ${words('review_id', text('member_id'))}, CAST(created_at AS CHAR) FROM reviews.review_recommendation`,
  },
  {
    what: 'member',
    legacy: `SELECT ${text('MBR_ID')}, ${text('MBR_NM')} FROM shop.TB_MBR`,
    service: `SELECT ${text('id')}, display_name FROM reviews.member`,
  },
  {
    what: 'product',
    legacy: `SELECT PRD_NO, ${text('PRD_NM')} FROM shop.TB_PRD`,
    service: 'SELECT id, title FROM reviews.product',
  },
  // What triggers of the target keep in the transaction of the row, whoever writes it.
  {
    what: 'histogram',
    legacy:
      "SELECT CONCAT_WS('|', PRD_NO, CAST(STAR_PNT AS UNSIGNED)), COUNT(*) FROM shop.TB_RVW_MST WHERE DSP_YN = 'Y' AND DEL_YN = 'N' GROUP BY PRD_NO, STAR_PNT",
    service:
      "SELECT CONCAT_WS('|', product_id, rating), review_count FROM reviews.rating_histogram WHERE review_count <> 0",
  },
  { what: 'wish', legacy: wishOf('shop'), service: wishOf('wishlist') },
];

export type Differences = {
  readonly count: number;
  /** The first of each table, in words. */
  readonly examples: readonly string[];
};

const examplesMax = 5;

/** Key → value; a key that comes twice is a fault of the comparison. */
async function read(
  server: SideServer,
  sql: string,
  inWords: (value: string) => string = (value) => value,
): Promise<ReadonlyMap<string, string>> {
  const rows = (await server.query(sql)).map((row): [string, string] => {
    const [key, value] = Object.values(row);
    return [String(key), inWords(String(value))];
  });
  const found = new Map(rows);
  if (found.size !== rows.length) throw new Error(`the comparison cannot tell rows apart: ${sql}`);
  return found;
}

/** Row by row, all tables. Only while nobody writes, and the streams have passed what was written. */
export async function differences(legacy: SideServer, service: SideServer): Promise<Differences> {
  let count = 0;
  const examples: string[] = [];
  for (const { what, legacy: ofLegacy, service: ofService } of pairings) {
    const [one, other] = await Promise.all([read(legacy, ofLegacy, spelledOut), read(service, ofService)]);
    const keys = [...new Set([...one.keys(), ...other.keys()])].filter(
      (key) => one.get(key) !== other.get(key),
    );
    count += keys.length;
    for (const key of keys.slice(0, examplesMax))
      examples.push(
        `${what} ${key}\n    legacy:  ${one.get(key) ?? 'not there'}\n    service: ${other.get(key) ?? 'not there'}`,
      );
  }
  return { count, examples };
}
