// Rows into tables, a thousand to a statement, all in one transaction: a seed is there in whole or not at all.
import type { Connection } from 'mysql2/promise';
import type { Source } from './generated.ts';
import { memberColumns, productColumns } from './people-and-products.ts';
import type { Random } from './random.ts';
import {
  imageColumns,
  orderColumns,
  orderLineColumns,
  recommendationColumns,
  reviewColumns,
  reviewRows,
  wish,
  wishColumns,
} from './reviews.ts';

const rowsPerInsert = 1_000;
const reviewsPerReport = 20_000;

type Table = { count: number; add(...rows: unknown[][]): Promise<void>; flush(): Promise<void> };

function table(sql: Connection, name: string, columns: readonly string[]): Table {
  let pending: unknown[][] = [];
  const flush = async () => {
    if (pending.length === 0) return;
    const rows = pending;
    pending = [];
    await sql.query(`INSERT INTO ${name} (${columns.join(', ')}) VALUES ?`, [rows]);
  };
  const self: Table = {
    count: 0,
    add: async (...rows) => {
      self.count += rows.length;
      pending.push(...rows);
      if (pending.length >= rowsPerInsert) await flush();
    },
    flush,
  };
  return self;
}

export type Counts = {
  reviews: number;
  products: number;
  members: number;
  orders: number;
  wishes: number;
  images: number;
  recommendations: number;
  /** Reviews without a text. */
  empty: number;
  /** Reviews with characters that euckr cannot hold, stored as numeric character references. */
  referenced: number;
};

/** A wish for every tenth review's author or so: for a product of the whole range, one for each pair at most. */
async function writeWishes(
  wishes: Table,
  random: Random,
  { members, products, reviewCount }: Source,
): Promise<void> {
  const seen = new Set<string>();
  for (let index = 0; index < reviewCount / 10; index++) {
    const who = random.pick(members);
    const what = random.pick(products);
    const key = `${who.id} ${what.number}`;
    if (who.hasLeft || seen.has(key)) continue;
    seen.add(key);
    const memo = random.pick(['', '', '', '생일 선물', '월급날 사기', '세일하면 🛒', 'M 사이즈']);
    await wishes.add(
      wish(who.id, what.number, memo, Date.UTC(2026, 0, 1) + random.int(180 * 86_400) * 1_000),
    );
  }
}

/** @param report how many reviews are in, now and then */
export async function writeSeed(
  sql: Connection,
  random: Random,
  source: Source,
  report: (reviews: number) => void,
): Promise<Counts> {
  const members = table(sql, 'TB_MBR', memberColumns);
  const products = table(sql, 'TB_PRD', productColumns);
  const reviews = table(sql, 'TB_RVW_MST', reviewColumns);
  const images = table(sql, 'TB_RVW_IMG', imageColumns);
  const recommendations = table(sql, 'TB_RVW_RCMD', recommendationColumns);
  const orders = table(sql, 'TB_ORD_MST', orderColumns);
  const orderLines = table(sql, 'TB_ORD_DTL', orderLineColumns);
  const wishes = table(sql, 'TB_WISH', wishColumns);
  let empty = 0;
  let referenced = 0;
  await sql.beginTransaction();
  try {
    for (const one of source.members) await members.add(one.row);
    for (const one of source.products) await products.add(one.row);
    for (const said of source.reviews) {
      const rows = reviewRows(random, said, source.members, source.products);
      await reviews.add(rows.review);
      await images.add(...rows.images);
      await recommendations.add(...rows.recommendations);
      if (rows.order) {
        await orders.add(rows.order.head);
        await orderLines.add(...rows.order.lines);
      }
      if (rows.stored === '') empty++;
      if (rows.needsReferences) referenced++;
      if (reviews.count % reviewsPerReport === 0) report(reviews.count);
    }
    if (source.products.length > 0) await writeWishes(wishes, random, source);
    for (const each of [members, products, reviews, images, recommendations, orders, orderLines, wishes])
      await each.flush();
    await sql.commit();
  } catch (error) {
    await sql.rollback();
    throw error;
  }
  return {
    reviews: reviews.count,
    products: products.count,
    members: members.count,
    orders: orders.count,
    wishes: wishes.count,
    images: images.count,
    recommendations: recommendations.count,
    empty,
    referenced,
  };
}
