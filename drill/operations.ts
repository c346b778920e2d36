// What applications do to the legacy tables, by the seed: reviews, recommendations, wishes, names. Each row belongs to
// one writer and is touched by no other, so that what must be there after each acknowledgement is known. Only counters
// belong to everybody.
import type { Chance } from '../test/sync/seed.ts';

/** What an operation does to the ledger: a row has this value then (undefined: is gone), or a counter grew by one. */
export type Effect =
  | { readonly kind: 'row'; readonly table: string; readonly key: string; readonly value: string | undefined }
  | { readonly kind: 'count'; readonly key: string };

export type Operation = {
  /** One transaction; the last statement is what decides it. */
  readonly statements: readonly string[];
  readonly effects: readonly Effect[];
};

export type Hand = {
  next(): Operation;
  /** Rows whose fate is not known are touched no more. */
  settle(operation: Operation, outcome: 'acknowledged' | 'undecided' | 'undone'): void;
};

export const writers = 4;
/** Rows that are there before the stream begins; their keys are multiples of ten, those of writers lie between. */
export const baseReviews = 5_000;
export const baseWishes = 2_000;
const countersEvery = baseReviews / 10;
/** Reviews whose views are counted by everybody. */
export const counterIds = Array.from({ length: 10 }, (_, index) => (index + 1) * countersEvery * 10);

/** Names that fold, and that only the Korean character set has. */
export const wishMembers = ['kim', 'Lee', '박철수', '뷁똠'];
const bodies = [
  '좋아요',
  '별로예요 &#128512;',
  "it''s ok &amp;",
  '&#134071; 뷁 R&D',
  'a'.repeat(300),
  '끝  ',
];

/** @param writer 0 to `writers` - 1 */
export function operations(chance: Chance, writer: number): Hand {
  const { below, pick } = chance;
  const member = wishMembers[writer % wishMembers.length] ?? '';
  const mine = (count: number) =>
    Array.from({ length: count }, (_, index) => index + 1).filter((index) => index % writers === writer);
  // The first review is nobody's.
  const pools: Record<string, string[]> = {
    review: mine(baseReviews)
      .filter((index) => index > 1 && index % countersEvery !== 0)
      .map((index) => String(index * 10)),
    wish: mine(baseWishes).map((index) => `${writer}/${index * 10}`),
  };
  const used = new Set<number>();
  let made = 0;
  let beyond = baseReviews + 2_000;
  /** Anywhere between the rows that are there, or beyond them. */
  const freshKey = (): number => {
    const tried = below(baseReviews + 2_000) * 10 + writer + 1;
    const key = used.has(tried) ? beyond++ * 10 + writer + 1 : tried;
    used.add(key);
    return key;
  };
  const token = () => `w${writer}-${++made}`;
  const row = (table: string, key: string | number, value: string | undefined): Effect => ({
    kind: 'row',
    table,
    key: String(key),
    value,
  });
  const once = (statement: string, ...effects: Effect[]): Operation => ({ statements: [statement], effects });
  const atOnce = (statements: string[], ...effects: Effect[]): Operation => ({
    statements: ['BEGIN', ...statements, 'COMMIT'],
    effects,
  });
  const star = () => String(1 + below(10)).padStart(2, '0');
  const stamp = () =>
    `2024${String(1 + below(12)).padStart(2, '0')}${String(1 + below(28)).padStart(2, '0')}${String(10 + below(14))}0000`;
  const wishKey = (product: string | number) => `${writer}/${product}`;
  const productOf = (wish: string) => wish.slice(wish.indexOf('/') + 1);
  const whereWish = (wish: string) => `WHERE MBR_ID = '${member}' AND PRD_NO = ${productOf(wish)}`;
  const insertReview = (id: number, text: string) => [
    `INSERT INTO TB_RVW_MST (RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, RVW_CTNT, CHNL_CD, RGST_DTM) VALUES (${id}, ${1 + below(30)}, '${member}', '${star()}', '${text} ${pick(bodies)}', '0${1 + below(3)}', '${stamp()}')`,
    ...Array.from(
      { length: below(3) },
      (_, photo) => `INSERT INTO TB_RVW_IMG VALUES (${id}, ${photo + 1}, '${text}.jpg')`,
    ),
  ];
  const writeReview = () => {
    const [id, text] = [freshKey(), token()];
    return atOnce(insertReview(id, text), row('review', id, `${text}:N`));
  };
  const countView = () => {
    const id = pick(counterIds);
    return once(`UPDATE TB_RVW_MST SET VIEW_CNT = VIEW_CNT + 1 WHERE RVW_SEQ = ${id}`, {
      kind: 'count',
      key: String(id),
    });
  };
  const modifyReview = () => {
    const [id, text, gone] = [pick(pools.review ?? []), token(), pick(['N', 'N', 'Y'])];
    return once(
      `UPDATE TB_RVW_MST SET RVW_CTNT = '${text} ${pick(bodies)}', STAR_PNT = '${star()}', DSP_YN = '${pick(['Y', 'N'])}', DEL_YN = '${gone}', MOD_DTM = '2024-05-06 0${below(10)}:08:09' WHERE RVW_SEQ = ${id}`,
      row('review', id, `${text}:${gone}`),
    );
  };
  const purgeReview = () => {
    const id = pick(pools.review ?? []);
    return atOnce(
      [`DELETE FROM TB_RVW_IMG WHERE RVW_SEQ = ${id}`, `DELETE FROM TB_RVW_MST WHERE RVW_SEQ = ${id}`],
      row('review', id, undefined),
    );
  };
  const recommend = () => {
    const [id, who] = [pick(pools.review ?? []), token()];
    return atOnce(
      [
        `INSERT INTO TB_RVW_RCMD VALUES (${id}, '${who}', '${stamp()}')`,
        `UPDATE TB_RVW_MST SET RCMD_CNT = RCMD_CNT + 1 WHERE RVW_SEQ = ${id}`,
      ],
      row('recommendation', `${id}/${who}`, 'there'),
    );
  };
  const insertWish = (product: number, memo: string) =>
    `INSERT INTO TB_WISH VALUES ('${member}', ${product}, '${memo}', '${stamp()}')`;
  const wish = () => {
    const [product, memo] = [freshKey(), token()];
    return once(insertWish(product, memo), row('wish', wishKey(product), memo));
  };
  const changeWish = () => {
    const [key, memo] = [pick(pools.wish ?? []), token()];
    // The same key in other letters is another image of the same row.
    const letters = pick([member, member.toUpperCase(), member.toLowerCase()]);
    return once(
      `UPDATE TB_WISH SET MEMO = '${memo}', MBR_ID = '${letters}' ${whereWish(key)}`,
      row('wish', key, memo),
    );
  };
  const moveWish = () => {
    const [key, product, memo] = [pick(pools.wish ?? []), freshKey(), token()];
    return once(
      `UPDATE TB_WISH SET MEMO = '${memo}', PRD_NO = ${product} ${whereWish(key)}`,
      row('wish', key, undefined),
      row('wish', wishKey(product), memo),
    );
  };
  const dropWish = () => {
    const key = pick(pools.wish ?? []);
    return once(`DELETE FROM TB_WISH ${whereWish(key)}`, row('wish', key, undefined));
  };
  const rename = (): Operation => {
    const name = token();
    return pick([true, false])
      ? once(
          `UPDATE TB_MBR SET MBR_NM = '${name}' WHERE MBR_ID = '${member}'`,
          row('member', String(writer), name),
        )
      : once(
          `UPDATE TB_PRD SET PRD_NM = '${name}' WHERE PRD_NO = ${writer + 1}`,
          row('product', String(writer + 1), name),
        );
  };
  const rollBack = (): Operation => {
    const text = token();
    return { statements: ['BEGIN', ...insertReview(freshKey(), text), 'ROLLBACK'], effects: [] };
  };
  /** One large transaction: all rows of it, or none. */
  const bulk = () => {
    const [memo, rows] = [token(), 100 + below(1_500)];
    return atOnce(
      [
        `DELETE FROM TB_WISH WHERE MBR_ID = 'bulk${writer}'`,
        `INSERT INTO TB_WISH SELECT 'bulk${writer}', seq, '${memo}', '20240101000000' FROM seq_1_to_${rows}`,
      ],
      row('bulk', String(writer), `${rows}:${memo}`),
    );
  };
  const often = [writeReview, countView, modifyReview, recommend, wish, changeWish];
  const seldom = [purgeReview, moveWish, dropWish, rename, rollBack];
  const kind = () => (below(5) > 0 ? pick(often) : below(40) > 0 ? pick(seldom) : bulk);
  const isPooled = (effect: Effect) => effect.kind === 'row' && pools[effect.table] !== undefined;
  return {
    next: () => kind()(),
    settle: ({ effects }, outcome) => {
      if (outcome === 'undone') return;
      for (const effect of effects.filter(isPooled)) {
        if (effect.kind !== 'row') continue;
        const pool = pools[effect.table] ?? [];
        const at = pool.indexOf(effect.key);
        if (outcome === 'acknowledged' && effect.value !== undefined) {
          if (at < 0) pool.push(effect.key);
        } else if (at >= 0) pool.splice(at, 1);
      }
    },
  };
}
