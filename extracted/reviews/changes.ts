// What the service writes. Counters grow in SQL, child rows change in the review's own transaction, and the
// triggers of the schema keep the rating summary in it too.
import type { DataSource, EntityManager } from 'typeorm';
import { inTransaction } from './database.ts';
import {
  type Channel,
  photoEntity,
  recommendationEntity,
  reviewEntity,
  type Visibility,
} from './entities.ts';
import { isDuplicateKey, ReviewsError } from './errors.ts';
import { checkBody, checkMemberId, checkPhotos, checkProductId, checkRating } from './legacy-limits.ts';

export type NewReview = {
  productId: number;
  authorId: string;
  rating: number;
  body: string;
  channel: Channel;
  photos?: string[];
};

export type ReviewChange = { rating?: number; body?: string; photos?: string[] };

/** Seconds, by the database's clock: all instances have the same one. */
const now = () => 'UTC_TIMESTAMP()';

/** INT UNSIGNED ends here; a counter that got so far stays there. */
const counterMax = 4_294_967_295;
const oneMore = (column: 'view_count' | 'recommend_count') => () => `LEAST(${column}, ${counterMax - 1}) + 1`;

/**
 * @returns the id
 * @throws ReviewsError not-storable
 */
export async function createReview(source: DataSource, review: NewReview): Promise<number> {
  const { productId, authorId, rating, body, channel, photos = [] } = review;
  checkProductId(productId);
  checkMemberId('authorId', authorId);
  checkRating(rating);
  checkBody(body);
  checkPhotos(photos);
  return inTransaction(source, async (manager) => {
    const { raw } = await manager
      .createQueryBuilder()
      .insert()
      .into(reviewEntity)
      .values({
        productId,
        authorId,
        rating,
        body,
        channel,
        visibility: 'visible',
        deleted: false,
        createdAt: now,
      })
      .updateEntity(false)
      .execute();
    const id = insertIdOf(raw);
    await insertPhotos(manager, id, photos);
    return id;
  });
}

/** @throws ReviewsError not-found, not-storable */
export async function changeReview(source: DataSource, id: number, change: ReviewChange): Promise<void> {
  const { photos, ...columns } = change;
  if (columns.rating !== undefined) checkRating(columns.rating);
  if (columns.body !== undefined) checkBody(columns.body);
  if (photos !== undefined) checkPhotos(photos);
  await inTransaction(source, async (manager) => {
    await updateReview(manager, id, { ...columns, updatedAt: now });
    if (photos === undefined) return;
    await manager.delete(photoEntity, { reviewId: id });
    await insertPhotos(manager, id, photos);
  });
}

/** @throws ReviewsError not-found */
export async function countView(source: DataSource, id: number): Promise<void> {
  await inTransaction(source, (manager) => updateReview(manager, id, { viewCount: oneMore('view_count') }));
}

/** @throws ReviewsError not-found */
export async function showOrHide(source: DataSource, id: number, visibility: Visibility): Promise<void> {
  await inTransaction(source, (manager) => updateReview(manager, id, { visibility }));
}

/** Marks it: the monolith's row stays too. @throws ReviewsError not-found, also the second time */
export async function deleteReview(source: DataSource, id: number): Promise<void> {
  await inTransaction(source, (manager) => updateReview(manager, id, { deleted: true }));
}

/** @throws ReviewsError not-found, not-storable, conflict when the member has done so before */
export async function recommendReview(source: DataSource, id: number, memberId: string): Promise<void> {
  checkMemberId('memberId', memberId);
  await inTransaction(source, async (manager) => {
    await updateReview(manager, id, { recommendCount: oneMore('recommend_count') });
    try {
      await manager
        .createQueryBuilder()
        .insert()
        .into(recommendationEntity)
        .values({ reviewId: id, memberId, createdAt: now })
        .updateEntity(false)
        .execute();
    } catch (error) {
      if (isDuplicateKey(error))
        throw new ReviewsError('conflict', `${memberId} has recommended review ${id} before.`, 'memberId');
      throw error;
    }
  });
}

type ReviewColumns = {
  rating?: number;
  body?: string;
  visibility?: Visibility;
  deleted?: boolean;
  viewCount?: () => string;
  recommendCount?: () => string;
  updatedAt?: () => string;
};

async function updateReview(manager: EntityManager, id: number, columns: ReviewColumns): Promise<void> {
  const { affected } = await manager
    .createQueryBuilder()
    .update(reviewEntity)
    .set(columns)
    .where('id = :id AND deleted = 0', { id })
    .execute();
  // Rows matched, not rows changed: mysql2 asks the server to count so.
  if (affected !== 1) throw new ReviewsError('not-found', `There is no review ${id}.`);
}

async function insertPhotos(
  manager: EntityManager,
  reviewId: number,
  photos: readonly string[],
): Promise<void> {
  if (photos.length === 0) return;
  const rows = photos.map((fileName, index) => ({ reviewId, position: index + 1, fileName }));
  await manager.createQueryBuilder().insert().into(photoEntity).values(rows).updateEntity(false).execute();
}

/** MariaDB's answer to an INSERT. */
function insertIdOf(raw: unknown): number {
  if (typeof raw === 'object' && raw !== null && 'insertId' in raw && Number.isSafeInteger(raw.insertId))
    return Number(raw.insertId);
  throw new Error('the database gave the new review no id');
}
