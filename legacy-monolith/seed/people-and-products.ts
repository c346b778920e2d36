// Rows of members and products, in the order of the columns below.
import { createHash } from 'node:crypto';
import { hashPassword } from '../modules/members/password.ts';
import type { Random } from './random.ts';
import { personName, productName } from './texts.ts';

export const memberColumns = [
  'MBR_ID',
  'MBR_PW',
  'MBR_NM',
  'EML_ADDR',
  'MBR_GRD_CD',
  'MKT_AGR_YN',
  'LEAV_YN',
  'LEAV_DT',
  'RGST_DTM',
];
export const productColumns = [
  'PRD_NO',
  'PRD_NM',
  'CATE_CD',
  'PRC',
  'STK_QTY',
  'TAG_LIST',
  'SALE_YN',
  'SALE_END_DT',
  'RGST_DTM',
];

/** member1 to member20 are for people: they can log in with this. The others have no password at all. */
export const peopleCount = 20;
export const peoplePassword = 'shop1234';

const neverDay = '0000-00-00';

export type SeedMember = { id: string; hasLeft: boolean; row: unknown[] };

/** The members one can log in as. */
export async function people(random: Random): Promise<SeedMember[]> {
  const members: SeedMember[] = [];
  for (let number = 1; number <= peopleCount; number++) {
    const id = `member${number}`;
    const password = await hashPassword(
      peoplePassword,
      createHash('sha256').update(id).digest().subarray(0, 16),
    );
    const row = [
      id,
      password,
      personName(random),
      `${id}@shop.example`,
      '01',
      'N',
      'N',
      neverDay,
      '20180301090000',
    ];
    members.push({ id, hasLeft: false, row });
  }
  return members;
}

/** One of the many; one in fifty has left, and then has no name any more. */
export function member(random: Random, id: string, mayHaveLeft: boolean): SeedMember {
  const name = personName(random);
  const hasLeft = mayHaveLeft && random.chance(0.02);
  const email = hasLeft || random.chance(0.3) ? null : `${id.replace(/[^a-z0-9]/gi, '')}@mail.example`;
  const grade = random.pick(['01', '01', '01', '01', '02', '02', '03']);
  const joined = `201${random.int(9)}0${1 + random.int(9)}${10 + random.int(18)}${10 + random.int(13)}${10 + random.int(49)}00`;
  const row = [
    id,
    '',
    hasLeft ? '탈퇴회원' : name,
    email,
    grade,
    random.chance(0.4) ? 'Y' : 'N',
    hasLeft ? 'Y' : 'N',
    hasLeft ? `2026-07-${10 + random.int(20)}` : neverDay,
    joined,
  ];
  return { id, hasLeft, row };
}

const words = [
  'happy',
  'mint',
  'sky',
  'lucky',
  'bear',
  'coffee',
  'moon',
  'star',
  'blue',
  'tiger',
  'haru',
  'namu',
];

/** An id of its own for the member with this number. */
export const memberId = (random: Random, number: number): string => `${random.pick(words)}${number}`;

/** price: whole won. */
export type SeedProduct = { number: number; price: number; row: unknown[] };

export function product(random: Random, number: number): SeedProduct {
  const { name, tagList } = productName(random);
  const price = 1_000 + random.int(990) * 100;
  const category = `00${1 + random.int(8)}`;
  const stock = random.chance(0.03) ? 0 : 10 + random.int(490);
  const row = [
    number,
    name,
    category,
    `${price}.00`,
    stock,
    tagList,
    random.chance(0.03) ? 'N' : 'Y',
    random.chance(0.05) ? '2030-12-31' : neverDay,
    `2018${10 + random.int(3)}${10 + random.int(18)}120000`,
  ];
  return { number, price, row };
}
