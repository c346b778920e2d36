// What is read from and written to TB_WISH: each a single statement, so each a transaction of its own.
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { errnoOf, WishlistError } from './errors.ts';
import { toInstant, toStamp } from './seoul-time.ts';

export type Wish = {
  readonly memberId: string;
  readonly productId: number;
  readonly memo: string;
  /** UTC, whole seconds; null when the row has come with something that is no time. */
  readonly createdAt: string | null;
};

type WishRow = RowDataPacket & { MBR_ID: string; PRD_NO: number; MEMO: string; RGST_DTM: string };
type CountRow = RowDataPacket & { total: string };

const attemptsMax = 3;
const columns = 'MBR_ID, PRD_NO, MEMO, RGST_DTM';

/** One page of a member's wishes, newest first, and how many there are in all. */
export async function listWishes(
  pool: Pool,
  memberId: string,
  page: { offset: number; limit: number },
): Promise<{ items: Wish[]; total: number }> {
  const [rows] = await pool.query<WishRow[]>(
    `SELECT ${columns} FROM TB_WISH WHERE MBR_ID = ? ORDER BY RGST_DTM DESC, PRD_NO DESC LIMIT ? OFFSET ?`,
    [memberId, page.limit, page.offset],
  );
  const [[count]] = await pool.query<CountRow[]>('SELECT COUNT(*) AS total FROM TB_WISH WHERE MBR_ID = ?', [
    memberId,
  ]);
  return { items: rows.map(toWish), total: Number(count?.total ?? 0) };
}

/**
 * Adds a wish. One that is there already stays as it is, memo and time too.
 * @returns what is stored, and whether it was this call that stored it
 */
export async function addWish(
  pool: Pool,
  memberId: string,
  productId: number,
  memo: string,
): Promise<{ wish: Wish; created: boolean }> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const stamp = toStamp(new Date());
    try {
      await pool.query(`INSERT INTO TB_WISH (${columns}) VALUES (?, ?, ?, ?)`, [
        memberId,
        productId,
        memo,
        stamp,
      ]);
      return { wish: { memberId, productId, memo, createdAt: toInstant(stamp) }, created: true };
    } catch (error) {
      if (errnoOf(error) !== 1062) throw error; // duplicate key
    }
    const [[row]] = await pool.query<WishRow[]>(
      `SELECT ${columns} FROM TB_WISH WHERE MBR_ID = ? AND PRD_NO = ?`,
      [memberId, productId],
    );
    // Removed by somebody since: there is room for it again.
    if (row !== undefined) return { wish: toWish(row), created: false };
  }
  throw new WishlistError('unavailable', 'Others add and remove this very wish; try again.');
}

/** @throws WishlistError not-found, also the second time */
export async function removeWish(pool: Pool, memberId: string, productId: number): Promise<void> {
  const [{ affectedRows }] = await pool.query<ResultSetHeader>(
    'DELETE FROM TB_WISH WHERE MBR_ID = ? AND PRD_NO = ?',
    [memberId, productId],
  );
  if (affectedRows !== 1)
    throw new WishlistError('not-found', `${memberId} has no wish for product ${productId}.`);
}

const toWish = (row: WishRow): Wish => ({
  memberId: row.MBR_ID,
  productId: row.PRD_NO,
  memo: row.MEMO,
  createdAt: toInstant(row.RGST_DTM),
});
