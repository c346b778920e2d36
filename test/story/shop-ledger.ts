// Whether what shoppers were told is what both databases say, once each.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Review } from './shoppers.ts';

export type LedgerFault = {
  readonly side: 'legacy' | 'service';
  readonly seq: number;
  readonly detail: string;
};

const said = {
  legacy:
    'SELECT RVW_SEQ AS seq, RVW_CTNT AS body, STAR_PNT AS stars, DEL_YN AS deleted FROM shop.TB_RVW_MST WHERE RVW_SEQ IN (?)',
  service:
    "SELECT id AS seq, body, LPAD(rating, 2, '0') AS stars, IF(deleted, 'Y', 'N') AS deleted FROM reviews.review WHERE id IN (?)",
} as const;

/** @param reviews by number, as acknowledged */
export async function ledgerFaults(
  on: Readonly<Record<'legacy' | 'service', Connection>>,
  reviews: ReadonlyMap<number, Review>,
): Promise<LedgerFault[]> {
  const faults: LedgerFault[] = [];
  for (const side of ['legacy', 'service'] as const) {
    const [rows] =
      reviews.size === 0 ? [[]] : await on[side].query<RowDataPacket[]>(said[side], [[...reviews.keys()]]);
    const bySeq = new Map(rows.map((row) => [Number(row.seq), row]));
    for (const [seq, review] of reviews) {
      const row = bySeq.get(seq);
      if (!row) faults.push({ side, seq, detail: 'it is not there' });
      else if (!review.undecided && (row.body !== review.body || row.stars !== review.stars))
        faults.push({
          side,
          seq,
          detail: `it should read "${review.body}" (${review.stars}), and reads "${row.body}" (${row.stars})`,
        });
      else if (!review.undecided && (row.deleted === 'Y') !== review.deleted)
        faults.push({ side, seq, detail: `deleted: ${row.deleted}, and should be ${review.deleted}` });
    }
  }
  return faults;
}
