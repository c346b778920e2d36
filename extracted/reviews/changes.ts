// What the service writes. Counters grow in SQL, child rows change in the review's own transaction, and the
// triggers of the schema keep the rating summary in it too.
import type { DataSource, EntityManager } from 'typeorm';
import { againstOthers, inTransaction } from './database.ts';
import {
  type Channel,
  photoEntity,
  productEntity,
  recommendationEntity,
  reviewEntity,
  type Visibility,
} from './entities.ts';
import { isDuplicateKey, ReviewsError } from './errors.ts';
import { checkBody, checkPhotos, checkProductId, checkRating } from './legacy-limits.ts';
import { getReview, type Review } from './reviews.ts';

export type NewReview = {
  productId: number;
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
 * @throws ReviewsError not-storable, unknown-product
 */
export async function createReview(source: DataSource, authorId: string, review: NewReview): Promise<number> {
  const { productId, rating, body, channel, photos = [] } = review;
  checkProductId(productId);
  checkRating(rating);
  checkBody(body);
  checkPhotos(photos);
  return inTransaction(source, async (manager) => {
    if (!(await manager.existsBy(productEntity, { id: productId })))
      throw new ReviewsError('unknown-product', `There is no product ${productId}.`, 'productId');
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

/** @throws ReviewsError not-found, forbidden when it is another's, not-storable */
export async function changeReview(
  source: DataSource,
  authorId: string,
  id: number,
  change: ReviewChange,
): Promise<void> {
  const { photos, ...columns } = change;
  if (columns.rating !== undefined) checkRating(columns.rating);
  if (columns.body !== undefined) checkBody(columns.body);
  if (photos !== undefined) checkPhotos(photos);
  await inTransaction(source, async (manager) => {
    await lockOwn(manager, authorId, id);
    await updateReview(manager, id, { ...columns, updatedAt: now });
    if (photos === undefined) return;
    await manager.delete(photoEntity, { reviewId: id });
    await insertPhotos(manager, id, photos);
  });
}

/** Of a visible review; one statement, and so a transaction of its own. @throws ReviewsError not-found */
export async function countView(source: DataSource, id: number): Promise<void> {
  await againstOthers(() => countOn(source.manager, id, { viewCount: oneMore('view_count') }));
}

/** @throws ReviewsError not-found */
export async function showOrHide(source: DataSource, id: number, visibility: Visibility): Promise<void> {
  await inTransaction(source, (manager) => updateReview(manager, id, { visibility }));
}

/** Marks it: the monolith's row stays too. @throws ReviewsError not-found, also the second time; forbidden */
export async function deleteReview(source: DataSource, authorId: string, id: number): Promise<void> {
  await inTransaction(source, async (manager) => {
    await lockOwn(manager, authorId, id);
    await updateReview(manager, id, { deleted: true, updatedAt: now });
  });
}

/**
 * Of a visible review.
 * @returns the review with this member's recommendation, and none that came later
 * @throws ReviewsError not-found, conflict when the member has done so before
 */
export function recommendReview(source: DataSource, memberId: string, id: number): Promise<Review> {
  return inTransaction(source, async (manager) => {
    await countOn(manager, id, { recommendCount: oneMore('recommend_count') });
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
        throw new ReviewsError('conflict', `${memberId} has recommended review ${id} before.`);
      throw error;
    }
    return getReview(manager, id);
  });
}

/** Locks the member's own review. @throws ReviewsError not-found, forbidden */
async function lockOwn(manager: EntityManager, authorId: string, id: number): Promise<void> {
  const row = await manager.findOne(reviewEntity, {
    select: { authorId: true },
    where: { id, deleted: false },
    lock: { mode: 'pessimistic_write' },
  });
  if (row === null) throw missing(id);
  // To the letter, as the monolith compares: the identity has the id as it is stored.
  if (row.authorId !== authorId) throw new ReviewsError('forbidden', `Review ${id} is another member's.`);
}

/** What nobody sees is neither viewed nor recommended. */
async function countOn(manager: EntityManager, id: number, columns: ReviewColumns): Promise<void> {
  const { affected } = await manager.update(
    reviewEntity,
    { id, deleted: false, visibility: 'visible' },
    columns,
  );
  if (affected !== 1) throw missing(id);
}

const missing = (id: number) => new ReviewsError('not-found', `There is no review ${id}.`);

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
  if (affected !== 1) throw missing(id);
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
