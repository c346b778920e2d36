// A shop of any size from nothing but a seed.
import {
  member,
  memberId,
  people,
  peopleCount,
  product,
  type SeedMember,
  type SeedProduct,
} from './people-and-products.ts';
import type { Random } from './random.ts';
import type { Said } from './reviews.ts';
import { reviewText } from './texts.ts';

export type Source = {
  members: readonly SeedMember[];
  products: readonly SeedProduct[];
  reviewCount: number;
  reviews: Iterable<Said>;
};

const opened = Date.UTC(2019, 0, 1);
const closed = Date.UTC(2026, 6, 1);

/** Some products have far more reviews than others, and number 1 the most. */
const popular = <T>(random: Random, from: readonly T[]): T => {
  const among = Math.max(1, Math.ceil(from.length / 2 ** random.few(1, 6)));
  return random.pick(from.slice(0, among));
};

function* sayings(
  random: Random,
  count: number,
  members: readonly SeedMember[],
  products: readonly SeedProduct[],
): Generator<Said> {
  let at = opened;
  for (let index = 0; index < count; index++) {
    // One in fifty falls into the same second as the one before: the order of a list must not hang on the time alone.
    if (!random.chance(0.02))
      at = opened + Math.floor(((index + random.int(100) / 100) / count) * (closed - opened));
    const halfStars = random.pick([1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 10]);
    const text = reviewText(random, halfStars);
    const [author, bought] = [random.pick(members), popular(random, products)];
    yield { sequence: index + 1, product: bought, author, halfStars, text, at, mayBeTouched: true };
  }
}

/** A product for fifty reviews, a member for eight; never fewer than twenty of either. */
export async function generated(random: Random, reviewCount: number): Promise<Source> {
  const products = Array.from({ length: Math.max(20, Math.ceil(reviewCount / 50)) }, (_, index) =>
    product(random, index + 1),
  );
  const members = await people(random);
  for (let number = peopleCount + 1; number <= reviewCount / 8; number++)
    members.push(member(random, memberId(random, number), true));
  return { members, products, reviewCount, reviews: sayings(random, reviewCount, members, products) };
}
