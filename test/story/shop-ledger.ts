// What shoppers were told of their reviews, and whether it is what both databases say, once each.
import type { Connection, RowDataPacket } from 'mysql2/promise';

export type Version = { readonly body: string; readonly stars: string; readonly deleted: boolean };

export type Count = { acknowledged: number; undecided: number };

export type Review = {
  /** The first word of its text, which never changes: its author, and a number. */
  readonly mark: string;
  /** Unknown when the answer to its creation was lost. */
  readonly seq: number | undefined;
  /** One version, or several after a lost answer; undefined: it is not there. */
  possible: readonly (Version | undefined)[];
  /** The nightly batch hides what has a forbidden word in it. */
  readonly mayBeHidden: boolean;
  readonly views: Count;
  /** By whom. */
  readonly recommendations: Map<string, 'acknowledged' | 'undecided'>;
};

/** @returns undefined as long as nobody knows which version it is */
export const decided = ({ possible }: Review): Version | undefined =>
  possible.length === 1 ? possible[0] : undefined;

export type LedgerFault = {
  readonly side: 'legacy' | 'service';
  readonly is: 'lost' | 'doubled';
  readonly mark: string;
  readonly detail: string;
};

const said = {
  legacy: {
    reviews:
      "SELECT RVW_CTNT AS body, STAR_PNT AS stars, DEL_YN = 'Y' AS deleted, VIEW_CNT AS views, RCMD_CNT AS count FROM shop.TB_RVW_MST WHERE MBR_ID IN (?)",
    recommendations:
      'SELECT R.RVW_CTNT AS body, C.MBR_ID AS member FROM shop.TB_RVW_RCMD AS C JOIN shop.TB_RVW_MST AS R ON R.RVW_SEQ = C.RVW_SEQ WHERE R.MBR_ID IN (?)',
  },
  service: {
    reviews:
      "SELECT body, LPAD(rating, 2, '0') AS stars, deleted, view_count AS views, recommend_count AS count FROM reviews.review WHERE author_id IN (?)",
    recommendations:
      'SELECT r.body, c.member_id AS member FROM reviews.review_recommendation AS c JOIN reviews.review AS r ON r.id = c.review_id WHERE r.author_id IN (?)',
  },
} as const;

const markOf = (body: unknown) => String(body).split(' ', 1)[0] ?? '';
const authorOf = (mark: string) => mark.slice(0, mark.indexOf('-'));
const inWords = (version: Version | undefined) =>
  version ? `"${version.body}" (${version.stars}${version.deleted ? ', deleted' : ''})` : 'not there';
const same = (one: Version | undefined, other: Version | undefined) =>
  one?.body === other?.body && one?.stars === other?.stars && one?.deleted === other?.deleted;

function groupBy<T>(rows: readonly T[], key: (row: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return groups;
}

function judgeReview(
  { mark, possible, views, recommendations }: Review,
  rows: readonly RowDataPacket[],
  members: readonly string[],
): Omit<LedgerFault, 'side'>[] {
  const lost = (detail: string) => ({ is: 'lost', mark, detail }) as const;
  const doubled = (detail: string) => ({ is: 'doubled', mark, detail }) as const;
  if (rows.length > 1) return [doubled(`it is there ${rows.length} times`)];
  const [row] = rows;
  const found = row && {
    body: String(row.body),
    stars: String(row.stars),
    deleted: Number(row.deleted) === 1,
  };
  if (!possible.some((version) => same(version, found)))
    return [lost(`it is ${inWords(found)}, and should be ${possible.map(inWords).join(' or ')}`)];
  if (!row) return [];
  const faults: Omit<LedgerFault, 'side'>[] = [];
  const counted = Number(row.views);
  const told = `views are ${counted}; acknowledged were ${views.acknowledged}, and ${views.undecided} are open`;
  if (counted < views.acknowledged) faults.push(lost(told));
  if (counted > views.acknowledged + views.undecided) faults.push(doubled(told));
  for (const [member, how] of recommendations)
    if (how === 'acknowledged' && !members.includes(member))
      faults.push(lost(`the recommendation of ${member} is not there`));
  for (const member of members)
    if (!recommendations.has(member)) faults.push(doubled(`${member} was never told that it recommends it`));
  if (Number(row.count) !== members.length)
    faults.push(
      (Number(row.count) < members.length ? lost : doubled)(
        `it counts ${Number(row.count)} recommendations, and has ${members.length}`,
      ),
    );
  return faults;
}

/** @param reviews by mark, all of their authors */
export async function ledgerFaults(
  on: Readonly<Record<'legacy' | 'service', Connection>>,
  reviews: ReadonlyMap<string, Review>,
): Promise<LedgerFault[]> {
  if (reviews.size === 0) return [];
  const authors = [...new Set([...reviews.keys()].map(authorOf))];
  const faults: LedgerFault[] = [];
  for (const side of ['legacy', 'service'] as const) {
    const [rows] = await on[side].query<RowDataPacket[]>(said[side].reviews, [authors]);
    const [recommended] = await on[side].query<RowDataPacket[]>(said[side].recommendations, [authors]);
    const byMark = groupBy(rows, ({ body }) => markOf(body));
    const membersByMark = groupBy(recommended, ({ body }) => markOf(body));
    for (const review of reviews.values()) {
      const members = (membersByMark.get(review.mark) ?? []).map(({ member }) => String(member));
      for (const fault of judgeReview(review, byMark.get(review.mark) ?? [], members))
        faults.push({ side, ...fault });
    }
    for (const mark of byMark.keys())
      if (!reviews.has(mark))
        faults.push({ side, is: 'doubled', mark, detail: 'nobody was told that it is there' });
  }
  return faults;
}
