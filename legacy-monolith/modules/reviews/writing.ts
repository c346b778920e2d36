// What one writes of reviews.
import type { Knex } from 'knex';
import { seoulDateTime, seoulStamp } from '../../clock.ts';
import { type Database, isDuplicateKey } from '../../database.ts';
import { toEuckr } from '../../euckr.ts';
import { Refusal } from '../../wire.ts';
import type { ImageRow, ReviewRow } from './service.ts';

const storedLengthMax = 2_000;

/** @throws Refusal 1003 when the text, as it is stored, is longer than its column */
function storedText(text: string): string {
  const stored = toEuckr(text);
  if (stored.length > storedLengthMax) throw new Refusal('1003');
  return stored;
}

async function insertImages(tx: Knex.Transaction, rvwSeq: number, files: readonly string[]): Promise<void> {
  if (files.length === 0) return;
  await tx<ImageRow>('TB_RVW_IMG').insert(
    files.map((FILE_NM, index) => ({ RVW_SEQ: rvwSeq, IMG_SEQ: index + 1, FILE_NM })),
  );
}

export type NewReview = {
  prdNo: number;
  mbrId: string;
  starPnt: string;
  rvwCtnt: string;
  chnlCd: string;
  ordNo: string | undefined;
  rgstIp: string;
  files: readonly string[];
};

/**
 * Looks into the catalog's TB_PRD, and with an order number into TB_ORD_MST and TB_ORD_DTL: one reviews what one has bought.
 * @returns RVW_SEQ
 * @throws Refusal 2002, 2003, 1003
 */
export function writeReview(db: Database, review: NewReview): Promise<number> {
  const RVW_CTNT = storedText(review.rvwCtnt);
  return db.transaction(async (tx) => {
    if ((await tx('TB_PRD').where({ PRD_NO: review.prdNo }).first('PRD_NO')) === undefined)
      throw new Refusal('2002');
    if (review.ordNo !== undefined) {
      const bought = await tx('TB_ORD_MST AS M')
        .join('TB_ORD_DTL AS D', 'D.ORD_NO', 'M.ORD_NO')
        .where({ 'M.ORD_NO': review.ordNo, 'M.MBR_ID': review.mbrId, 'D.PRD_NO': review.prdNo })
        .first('M.ORD_NO');
      if (bought === undefined) throw new Refusal('2003');
    }
    const [rvwSeq] = await tx<ReviewRow>('TB_RVW_MST').insert({
      PRD_NO: review.prdNo,
      MBR_ID: review.mbrId,
      STAR_PNT: review.starPnt,
      RVW_CTNT,
      CHNL_CD: review.chnlCd,
      ORD_NO: review.ordNo ?? null,
      RGST_IP: review.rgstIp,
      RGST_DTM: seoulStamp(),
    });
    if (rvwSeq === undefined) throw new Error('TB_RVW_MST counts by itself');
    await insertImages(tx, rvwSeq, review.files);
    return rvwSeq;
  });
}

/** Locks the member's own review. @throws Refusal 2001 when it is not there, 9003 when it is another's */
async function lockOwn(tx: Knex.Transaction, rvwSeq: number, mbrId: string): Promise<void> {
  const row = await tx<ReviewRow>('TB_RVW_MST')
    .where({ RVW_SEQ: rvwSeq, DEL_YN: 'N' })
    .forUpdate()
    .first('MBR_ID');
  if (row === undefined) throw new Refusal('2001');
  if (row.MBR_ID !== mbrId) throw new Refusal('9003');
}

/** @param change.files what replaces the photos; undefined: they stay */
export async function modifyReview(
  db: Database,
  { rvwSeq, mbrId }: { rvwSeq: number; mbrId: string },
  change: { starPnt: string; rvwCtnt: string; files: readonly string[] | undefined },
): Promise<void> {
  const RVW_CTNT = storedText(change.rvwCtnt);
  await db.transaction(async (tx) => {
    await lockOwn(tx, rvwSeq, mbrId);
    await tx<ReviewRow>('TB_RVW_MST')
      .where({ RVW_SEQ: rvwSeq })
      .update({ STAR_PNT: change.starPnt, RVW_CTNT, MOD_DTM: seoulDateTime() });
    if (change.files === undefined) return;
    await tx<ImageRow>('TB_RVW_IMG').where({ RVW_SEQ: rvwSeq }).delete();
    await insertImages(tx, rvwSeq, change.files);
  });
}

/** Softly: the row stays, and nobody is shown it. */
export async function deleteReview(
  db: Database,
  { rvwSeq, mbrId }: { rvwSeq: number; mbrId: string },
): Promise<void> {
  await db.transaction(async (tx) => {
    await lockOwn(tx, rvwSeq, mbrId);
    await tx<ReviewRow>('TB_RVW_MST')
      .where({ RVW_SEQ: rvwSeq })
      .update({ DEL_YN: 'Y', MOD_DTM: seoulDateTime() });
  });
}

/**
 * The row and the counter in one transaction.
 * @returns RCMD_CNT
 * @throws Refusal 2001, 3001
 */
export function recommendReview(db: Database, rvwSeq: number, mbrId: string): Promise<number> {
  return db.transaction(async (tx) => {
    const review = await tx<ReviewRow>('TB_RVW_MST')
      .where({ RVW_SEQ: rvwSeq, DSP_YN: 'Y', DEL_YN: 'N' })
      .forUpdate()
      .first('RCMD_CNT');
    if (review === undefined) throw new Refusal('2001');
    try {
      await tx('TB_RVW_RCMD').insert({ RVW_SEQ: rvwSeq, MBR_ID: mbrId, RGST_DTM: seoulStamp() });
    } catch (error) {
      throw isDuplicateKey(error) ? new Refusal('3001') : error;
    }
    await tx('TB_RVW_MST').where({ RVW_SEQ: rvwSeq }).increment('RCMD_CNT', 1);
    return review.RCMD_CNT + 1;
  });
}
