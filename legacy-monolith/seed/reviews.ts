// A review with all that hangs on it: photos, recommendations, the order it was written for, a wish.
import { toEuckr } from '../euckr.ts';
import type { SeedMember, SeedProduct } from './people-and-products.ts';
import { photoNames } from './photos.ts';
import type { Random } from './random.ts';

export const reviewColumns = [
  'RVW_SEQ',
  'PRD_NO',
  'MBR_ID',
  'STAR_PNT',
  'RVW_CTNT',
  'CHNL_CD',
  'DSP_YN',
  'DEL_YN',
  'VIEW_CNT',
  'RCMD_CNT',
  'ORD_NO',
  'RGST_IP',
  'RGST_DTM',
  'MOD_DTM',
];
export const imageColumns = ['RVW_SEQ', 'IMG_SEQ', 'FILE_NM'];
export const recommendationColumns = ['RVW_SEQ', 'MBR_ID', 'RGST_DTM'];
export const orderColumns = [
  'ORD_NO',
  'MBR_ID',
  'ORD_STS_CD',
  'ORD_AMT',
  'PAY_MTHD_CD',
  'PAY_DTM',
  'RGST_DTM',
];
export const orderLineColumns = ['ORD_NO', 'ORD_SEQ', 'PRD_NO', 'ORD_QTY', 'UNIT_PRC'];
export const wishColumns = ['MBR_ID', 'PRD_NO', 'MEMO', 'RGST_DTM'];

/** What somebody said, before the shop has stored it. */
export type Said = {
  sequence: number;
  product: SeedProduct;
  author: SeedMember;
  /** 1 to 10 */
  halfStars: number;
  text: string;
  /** Milliseconds of Seoul's wall clock, as if it were UTC. */
  at: number;
  /** Whether staff may have hidden it, or its author changed or deleted it. */
  mayBeTouched: boolean;
};

export type SeedReview = {
  review: unknown[];
  stored: string;
  needsReferences: boolean;
  images: unknown[][];
  recommendations: unknown[][];
  order: { head: unknown[]; lines: unknown[][] } | undefined;
};

const dayMs = 86_400_000;
const never = '0000-00-00 00:00:00';
const dateTime = (at: number): string => new Date(at).toISOString().slice(0, 19).replace('T', ' ');
const stamp = (at: number): string => dateTime(at).replace(/\D/g, '');

export const wish = (memberId: string, productNumber: number, memo: string, at: number): unknown[] => [
  memberId,
  productNumber,
  memo,
  stamp(at),
];

const address = (random: Random): string | null =>
  random.chance(0.2)
    ? null
    : random.chance(0.1)
      ? `2001:db8::${(1 + random.int(0xfffe)).toString(16)}`
      : `203.0.113.${1 + random.int(254)}`;

/** An order of one to three lines in the days before; `number` makes ORD_NO one of a kind. */
function orderFor(
  random: Random,
  said: Said,
  number: number,
  products: readonly SeedProduct[],
): { head: unknown[]; lines: unknown[][] } {
  const at = said.at - (1 + random.int(20)) * dayMs - random.int(dayMs);
  const ordNo = stamp(at).slice(0, 8) + String(number).padStart(8, '0');
  const lines: unknown[][] = [];
  let total = 0;
  for (const product of [
    said.product,
    ...Array.from({ length: random.few(0.3, 2) }, () => random.pick(products)),
  ]) {
    const quantity = 1 + random.few(0.3, 4);
    total += product.price * quantity;
    lines.push([ordNo, lines.length + 1, product.number, quantity, `${product.price}.00`]);
  }
  const unpaid = random.chance(0.02);
  const head = [
    ordNo,
    said.author.id,
    unpaid ? '10' : random.chance(0.05) ? '30' : '40',
    `${total}.00`,
    unpaid ? '02' : random.pick(['01', '01', '03']),
    unpaid ? never : dateTime(at + 60_000),
    stamp(at),
  ];
  return { head, lines };
}

/**
 * The rows of one review. RCMD_CNT is the number of its recommendations; a member who has left said what
 * members who have left say.
 */
export function reviewRows(
  random: Random,
  said: Said,
  members: readonly SeedMember[],
  products: readonly SeedProduct[],
): SeedReview {
  const text = said.author.hasLeft ? '탈퇴한 회원이 남긴 리뷰입니다.' : said.text;
  const stored = toEuckr(text);
  const seq = said.sequence;
  const images = random.chance(0.06)
    ? Array.from({ length: 1 + random.few(0.5, 4) }, (_, index) => [seq, index + 1, random.pick(photoNames)])
    : [];
  // Neighbours in the list of members: each recommends once.
  const first = random.int(members.length);
  const recommendations = Array.from(
    { length: random.few(0.4, Math.min(20, members.length)) },
    (_, index) => {
      const who = members[(first + index) % members.length]?.id;
      return [seq, who, stamp(said.at + (1 + random.int(30 * 24)) * 3_600_000)];
    },
  );
  const order = random.chance(0.3) ? orderFor(random, said, seq, products) : undefined;
  const isHidden = said.mayBeTouched && random.chance(0.02);
  const isDeleted = said.mayBeTouched && random.chance(0.02);
  const isModified = said.author.hasLeft || isDeleted || (said.mayBeTouched && random.chance(0.05));
  const review = [
    seq,
    said.product.number,
    said.author.id,
    String(said.halfStars).padStart(2, '0'),
    stored,
    random.pick(['01', '01', '02', '02', '03']),
    isHidden ? 'N' : 'Y',
    isDeleted ? 'Y' : 'N',
    random.few(12, 500),
    recommendations.length,
    order?.head[0] ?? null,
    address(random),
    stamp(said.at),
    isModified ? dateTime(said.at + (1 + random.int(40)) * dayMs) : never,
  ];
  return { review, stored, needsReferences: stored !== text, images, recommendations, order };
}
