// The catalog: TB_PRD is its own.
import { stampOf } from '../../clock.ts';
import type { Database } from '../../database.ts';
import { Refusal } from '../../wire.ts';
import { shownText } from '../reviews/masking.ts';
import { averageStars } from '../reviews/rating.ts';

type ProductRow = {
  PRD_NO: number;
  PRD_NM: string;
  CATE_CD: string;
  PRC: string;
  STK_QTY: number;
  TAG_LIST: string;
  SALE_YN: string;
  SALE_END_DT: string;
  RGST_DTM: string;
};

export const productsPerPage = 20;

/** prc is a decimal string; tagList a comma list. */
export type ListedProduct = {
  prdNo: number;
  prdNm: string;
  cateCd: string;
  prc: string;
  tagList: string;
  saleYn: string;
};

const listed = (row: ProductRow): ListedProduct => ({
  prdNo: row.PRD_NO,
  prdNm: row.PRD_NM,
  cateCd: row.CATE_CD,
  prc: row.PRC,
  tagList: row.TAG_LIST,
  saleYn: row.SALE_YN,
});

/** The products on sale, newest first. @param page from 1 */
export async function listProducts(
  db: Database,
  cateCd: string | undefined,
  page: number,
): Promise<{ totCnt: number; prdList: ListedProduct[] }> {
  const onSale = () =>
    db<ProductRow>('TB_PRD').where({ SALE_YN: 'Y', ...(cateCd ? { CATE_CD: cateCd } : {}) });
  const [counted] = await onSale().count({ n: '*' });
  const rows = await onSale()
    .orderBy('PRD_NO', 'desc')
    .limit(productsPerPage)
    .offset((page - 1) * productsPerPage)
    .select('*');
  return { totCnt: Number(counted?.n ?? 0), prdList: rows.map(listed) };
}

/**
 * A product with what its reviews say. Count and stars come straight from the reviews module's TB_RVW_MST,
 * by the same filter as its own list.
 * @throws Refusal 2002
 */
export async function viewProduct(db: Database, prdNo: number) {
  const row = await db<ProductRow>('TB_PRD').where({ PRD_NO: prdNo }).first();
  if (row === undefined) throw new Refusal('2002');
  const [rating] = await db('TB_RVW_MST')
    .where({ PRD_NO: prdNo, DSP_YN: 'Y', DEL_YN: 'N' })
    .select<{ n: string; stars: string | null }[]>(
      db.raw('COUNT(*) AS n'),
      db.raw('SUM(CAST(STAR_PNT AS UNSIGNED)) AS stars'),
    );
  const { tagList, saleYn, ...head } = listed(row);
  return {
    ...head,
    stkQty: row.STK_QTY,
    tagList,
    saleYn,
    saleEndDt: stampOf(row.SALE_END_DT),
    rgstDtm: row.RGST_DTM,
    rvwCnt: Number(rating?.n ?? 0),
    avgStar: averageStars(Number(rating?.stars ?? 0), Number(rating?.n ?? 0)),
  };
}

export type Product = Awaited<ReturnType<typeof viewProduct>>;

export type PageReview = {
  rvwSeq: number;
  mbrNm: string;
  starPnt: string;
  rvwCtnt: string;
  rgstDtm: string;
  files: string[];
};

/** The latest reviews for the product's page, joined from the tables of reviews and members as they are. */
export async function latestReviews(db: Database, prdNo: number, limit: number): Promise<PageReview[]> {
  type Row = Omit<PageReview, 'files'> & { files: string | null; leavYn: string | null };
  const images = db('TB_RVW_IMG AS I').whereRaw('I.RVW_SEQ = R.RVW_SEQ');
  const rows = await db('TB_RVW_MST AS R')
    .leftJoin('TB_MBR AS M', 'M.MBR_ID', 'R.MBR_ID')
    .where({ 'R.PRD_NO': prdNo, 'R.DSP_YN': 'Y', 'R.DEL_YN': 'N' })
    .orderBy([
      { column: 'R.RGST_DTM', order: 'desc' },
      { column: 'R.RVW_SEQ', order: 'desc' },
    ])
    .limit(limit)
    .select<Row[]>(
      'R.RVW_SEQ AS rvwSeq',
      db.raw("COALESCE(M.MBR_NM, '') AS mbrNm"),
      'R.STAR_PNT AS starPnt',
      'R.RVW_CTNT AS rvwCtnt',
      'M.LEAV_YN AS leavYn',
      'R.RGST_DTM AS rgstDtm',
      images.select(db.raw("GROUP_CONCAT(I.FILE_NM ORDER BY I.IMG_SEQ SEPARATOR ',')")).as('files'),
    );
  return rows.map(({ leavYn, ...row }) => ({
    ...row,
    rvwCtnt: shownText(row.rvwCtnt, leavYn),
    files: row.files?.split(',') ?? [],
  }));
}

/** @returns undefined when there is no such product */
export async function findStock(db: Database, prdNo: number): Promise<number | undefined> {
  const row = await db<ProductRow>('TB_PRD').where({ PRD_NO: prdNo }).first('STK_QTY');
  return row?.STK_QTY;
}
