// What the service reads: at most three small indexed queries for a page.
import { type DataSource, type EntityManager, In } from 'typeorm';
import {
  type Channel,
  histogramEntity,
  photoEntity,
  type ReviewRow,
  reviewEntity,
  type Visibility,
} from './entities.ts';
import { ReviewsError } from './errors.ts';

export type Review = {
  id: number;
  productId: number;
  productTitle: string | null;
  author: { id: string; displayName: string | null };
  /** Half stars, 1..10. */
  rating: number;
  body: string;
  visibility: Visibility;
  channel: Channel;
  viewCount: number;
  recommendCount: number;
  /** 2023-11-01T00:30:00Z, whole seconds, UTC. */
  createdAt: string;
  updatedAt: string | null;
  photos: string[];
};

export type RatingSummary = {
  count: number;
  /** Half stars with four decimals, rounded half up; null without reviews. */
  average: string | null;
  /** Reviews by rating, "1" to "10". */
  histogram: Record<string, number>;
};

export type Sort = 'recent' | 'rating' | 'recommended';

const sortKeys = { recent: 'createdAt', rating: 'rating', recommended: 'recommendCount' } as const;

/** The last review of a page, as a place in the order of a list: the next page begins after it. */
export type Place = { readonly sort: Sort; readonly key: string | number; readonly id: number };

export type Slice =
  | { readonly by: 'offset'; readonly offset: number; readonly limit: number }
  | { readonly by: 'place'; readonly after: Place | undefined; readonly limit: number };

export type ReviewList = { items: Review[]; summary: RatingSummary; next: Place | undefined };

/** A product's visible reviews in an order, newest, best or most recommended first; ties by id, newest first. */
export async function listReviews(
  source: DataSource,
  productId: number,
  sort: Sort,
  slice: Slice,
): Promise<ReviewList> {
  const summary = await ratingSummary(source, productId);
  // Behind the end there is nothing to look for, however many index entries lie before it.
  const isBehindEnd = slice.by === 'offset' && slice.offset >= summary.count;
  // One more than asked for: it tells whether there is a next page.
  const rows = isBehindEnd ? [] : await pageRows(source, productId, sort, slice);
  const page = rows.slice(0, slice.limit);
  const last = rows.length > page.length ? page.at(-1) : undefined;
  return {
    items: await withPhotos(source, page),
    summary,
    next: last && { sort, key: last[sortKeys[sort]], id: last.id },
  };
}

/** The rows of one page and one more, in order; ids first, by index alone, then only their rows. */
async function pageRows(
  source: DataSource,
  productId: number,
  sort: Sort,
  slice: Slice,
): Promise<ReviewRow[]> {
  const key = sortKeys[sort];
  const rows = await source
    .getRepository(reviewEntity)
    .createQueryBuilder('review')
    .innerJoin(
      (query) => {
        const ids = query
          .select('listed.id', 'id')
          .from(reviewEntity, 'listed')
          .where("listed.productId = :productId AND listed.visibility = 'visible' AND listed.deleted = 0", {
            productId,
          })
          .orderBy(`listed.${key}`, 'DESC')
          .addOrderBy('listed.id', 'DESC')
          .limit(slice.limit + 1);
        if (slice.by === 'offset') return ids.offset(slice.offset);
        // Not a comparison of pairs, (key, id) < (?, ?): MariaDB makes no index range of that.
        return slice.after === undefined
          ? ids
          : ids.andWhere(`(listed.${key} < :key OR (listed.${key} = :key AND listed.id < :id))`, {
              key: slice.after.key,
              id: slice.after.id,
            });
      },
      'page',
      'page.id = review.id',
    )
    .leftJoinAndSelect('review.author', 'author')
    .leftJoinAndSelect('review.product', 'product')
    .getMany();
  // The join may lose the order of the ids, and to sort in SQL would cost a temporary table.
  return rows.sort((a, b) => (a[key] === b[key] ? b.id - a.id : a[key] < b[key] ? 1 : -1));
}

async function withPhotos(source: DataSource | EntityManager, rows: readonly ReviewRow[]): Promise<Review[]> {
  if (rows.length === 0) return [];
  const found = await source.getRepository(photoEntity).find({
    where: { reviewId: In(rows.map((row) => row.id)) },
    order: { reviewId: 'ASC', position: 'ASC' },
  });
  const photos = Map.groupBy(found, (photo) => photo.reviewId);
  return rows.map((row) => toReview(row, photos.get(row.id)?.map((photo) => photo.fileName) ?? []));
}

/** @throws ReviewsError not-found, also for a deleted review; a hidden one is found, and says so */
export async function getReview(source: DataSource | EntityManager, id: number): Promise<Review> {
  const row = await source
    .getRepository(reviewEntity)
    .createQueryBuilder('review')
    .leftJoinAndSelect('review.author', 'author')
    .leftJoinAndSelect('review.product', 'product')
    .where('review.id = :id AND review.deleted = 0', { id })
    .getOne();
  const [review] = row === null ? [] : await withPhotos(source, [row]);
  if (review === undefined) throw new ReviewsError('not-found', `There is no review ${id}.`);
  return review;
}

/** From the histogram, which triggers keep: never a count over reviews. */
export async function ratingSummary(source: DataSource, productId: number): Promise<RatingSummary> {
  const histogram: Record<string, number> = {};
  for (let rating = 1; rating <= 10; rating++) histogram[rating] = 0;
  let count = 0;
  let sum = 0;
  for (const row of await source.getRepository(histogramEntity).findBy({ productId })) {
    histogram[row.rating] = row.reviewCount;
    count += row.reviewCount;
    sum += row.rating * row.reviewCount;
  }
  return { count, average: averageOf(sum, count), histogram };
}

/** sum / count with four decimals, rounded half up, exactly. */
export function averageOf(sum: number, count: number): string | null {
  if (count <= 0) return null;
  const tenThousandths = (BigInt(sum) * 20_000n + BigInt(count)) / (2n * BigInt(count));
  const digits = String(tenThousandths).padStart(5, '0');
  return `${digits.slice(0, -4)}.${digits.slice(-4)}`;
}

/** What the monolith writes over a leaving member's reviews. */
const maskedBody = '탈퇴한 회원이 남긴 리뷰입니다.';

function toReview(row: ReviewRow, photos: string[]): Review {
  const { id, productId, rating, visibility, channel, viewCount, recommendCount } = row;
  return {
    id,
    productId,
    productTitle: row.product?.title ?? null,
    author: { id: row.authorId, displayName: row.author?.displayName ?? null },
    rating,
    body: row.author?.hasLeft ? maskedBody : row.body,
    visibility,
    channel,
    viewCount,
    recommendCount,
    createdAt: toInstant(row.createdAt),
    updatedAt: row.updatedAt === null ? null : toInstant(row.updatedAt),
    photos,
  };
}

const toInstant = (datetime: string) => `${datetime.replace(' ', 'T')}Z`;
