import { ReviewsError } from './errors.ts';
import type { Place, Sort } from './reviews.ts';

const intUnsigned = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 4_294_967_295;

const isDatetime = (value: unknown): value is string =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(value) &&
  !Number.isNaN(Date.parse(`${value.replace(' ', 'T')}Z`));

/** Opaque to clients, who give it back as it is. */
export function writeCursor(place: Place): string {
  return Buffer.from(JSON.stringify([place.sort, place.key, place.id])).toString('base64url');
}

/** @throws ReviewsError malformed when it is none of ours, or one of a list in another order */
export function readCursor(text: string, sort: Sort): Place {
  const refuse = (why: string) => new ReviewsError('malformed', `cursor ${why}`, 'cursor');
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    throw refuse('is not a nextCursor of this service');
  }
  if (!Array.isArray(parts) || parts.length !== 3) throw refuse('is not a nextCursor of this service');
  const [of, key, id]: unknown[] = parts;
  if (of !== sort) throw refuse(`belongs to a list in another order than ${sort}`);
  const isKey = sort === 'recent' ? isDatetime : intUnsigned;
  if (!isKey(key) || !intUnsigned(id)) throw refuse('is not a nextCursor of this service');
  return { sort, key, id };
}
