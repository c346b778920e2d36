// What one reads of reviews: TB_RVW_MST, TB_RVW_IMG and TB_RVW_RCMD are theirs, and names are the members' TB_MBR.
import { stampOf } from '../../clock.ts';
import type { Database } from '../../database.ts';
import { Refusal } from '../../wire.ts';
import { shownText } from './masking.ts';
import { averageStars } from './rating.ts';

export type ReviewRow = {
  RVW_SEQ: number;
  PRD_NO: number;
  MBR_ID: string;
  STAR_PNT: string;
  RVW_CTNT: string;
  CHNL_CD: string;
  DSP_YN: string;
  DEL_YN: string;
  VIEW_CNT: number;
  RCMD_CNT: number;
  ORD_NO: string | null;
  RGST_IP: string | null;
  RGST_DTM: string;
  MOD_DTM: string;
};
export type ImageRow = { RVW_SEQ: number; IMG_SEQ: number; FILE_NM: string };

/** What a list, a summary and a count have in common: neither hidden by staff nor deleted. */
const shown = { DSP_YN: 'Y', DEL_YN: 'N' } as const;

export type Sort = 'RCNT' | 'STAR' | 'RCMD';

const sortColumns = { RCNT: 'RGST_DTM', STAR: 'STAR_PNT', RCMD: 'RCMD_CNT' } as const;

/** RCNT, the most recent first, is also what an unknown word means. */
export const sortOf = (word: string | undefined): Sort =>
  word === 'STAR' || word === 'RCMD' ? word : 'RCNT';

/** An item of the list, in the order of its keys on the wire. */
export type ListedReview = {
  rvwSeq: number;
  mbrId: string;
  mbrNm: string;
  starPnt: string;
  rvwCtnt: string;
  dspYn: string;
  rgstDtm: string;
  imgUrls: string;
};

type NamedRow = ReviewRow & { MBR_NM: string | null; LEAV_YN: string | null };

/** TB_RVW_MST with the author's name, and whether the author has left; a review may outlive its member's row. */
const namedReviews = (db: Database) =>
  db('TB_RVW_MST AS R')
    .leftJoin('TB_MBR AS M', 'M.MBR_ID', 'R.MBR_ID')
    .select<NamedRow[]>('R.*', 'M.MBR_NM', 'M.LEAV_YN');

const listed = (row: NamedRow, images: ReadonlyMap<number, readonly string[]>): ListedReview => ({
  rvwSeq: row.RVW_SEQ,
  mbrId: row.MBR_ID,
  mbrNm: row.MBR_NM ?? '',
  starPnt: row.STAR_PNT,
  rvwCtnt: shownText(row.RVW_CTNT, row.LEAV_YN),
  dspYn: row.DSP_YN,
  rgstDtm: row.RGST_DTM,
  imgUrls: (images.get(row.RVW_SEQ) ?? []).join(','),
});

async function imagesOf(
  db: Database,
  reviews: readonly { RVW_SEQ: number }[],
): Promise<Map<number, string[]>> {
  const images = new Map<number, string[]>();
  if (reviews.length === 0) return images;
  const rows = await db<ImageRow>('TB_RVW_IMG')
    .whereIn(
      'RVW_SEQ',
      reviews.map((review) => review.RVW_SEQ),
    )
    .orderBy(['RVW_SEQ', 'IMG_SEQ']);
  for (const row of rows) images.set(row.RVW_SEQ, [...(images.get(row.RVW_SEQ) ?? []), row.FILE_NM]);
  return images;
}

/** starCnt: pairs of half stars, '01' to '10', and how many reviews have them. */
export type Rating = { totCnt: number; avgStar: string; starCnt: ReadonlyMap<string, number> };

/** How many shown reviews a product has at each number of half stars, '01' to '10', and their average. */
export async function rate(db: Database, prdNo: number): Promise<Rating> {
  const starCnt = new Map<string, number>();
  for (let star = 1; star <= 10; star++) starCnt.set(String(star).padStart(2, '0'), 0);
  const groups = await db('TB_RVW_MST')
    .where({ PRD_NO: prdNo, ...shown })
    .groupBy('STAR_PNT')
    .select<{ STAR_PNT: string; n: string }[]>('STAR_PNT', db.raw('COUNT(*) AS n'));
  let totCnt = 0;
  let halfStars = 0;
  for (const { STAR_PNT, n } of groups) {
    starCnt.set(STAR_PNT, Number(n));
    totCnt += Number(n);
    halfStars += Number(STAR_PNT) * Number(n);
  }
  return { totCnt, avgStar: averageStars(halfStars, totCnt), starCnt };
}

const reviewsPerPage = 10;

/** A page of a product's reviews; an unknown product simply has none. @param page from 1 */
export async function listReviews(
  db: Database,
  { prdNo, page, sort }: { prdNo: number; page: number; sort: Sort },
): Promise<{ totCnt: number; avgStar: string; rvwList: ListedReview[] }> {
  const { totCnt, avgStar } = await rate(db, prdNo);
  const rows = await namedReviews(db)
    .where({ 'R.PRD_NO': prdNo, 'R.DSP_YN': shown.DSP_YN, 'R.DEL_YN': shown.DEL_YN })
    .orderBy([
      { column: `R.${sortColumns[sort]}`, order: 'desc' },
      { column: 'R.RVW_SEQ', order: 'desc' },
    ])
    .limit(reviewsPerPage)
    .offset((page - 1) * reviewsPerPage);
  const images = await imagesOf(db, rows);
  return { totCnt, avgStar, rvwList: rows.map((row) => listed(row, images)) };
}

/** One review, its view counted before it is read. @throws Refusal 2001 */
export async function viewReview(db: Database, rvwSeq: number) {
  await db<ReviewRow>('TB_RVW_MST')
    .where({ RVW_SEQ: rvwSeq, ...shown })
    .increment('VIEW_CNT', 1);
  const [row] = await namedReviews(db).where({ 'R.RVW_SEQ': rvwSeq, 'R.DSP_YN': 'Y', 'R.DEL_YN': 'N' });
  if (row === undefined) throw new Refusal('2001');
  return {
    ...listed(row, await imagesOf(db, [row])),
    prdNo: row.PRD_NO,
    viewCnt: row.VIEW_CNT,
    rcmdCnt: row.RCMD_CNT,
    modDtm: stampOf(row.MOD_DTM),
  };
}
