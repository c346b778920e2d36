// Orders, stock and payment: TB_ORD_MST and TB_ORD_DTL are theirs; the stock is the catalog's TB_PRD.STK_QTY.
import { randomInt } from 'node:crypto';
import type { Knex } from 'knex';
import { seoulDate, seoulDateTime, seoulStamp, stampOf } from '../../clock.ts';
import { type Database, isDuplicateKey } from '../../database.ts';
import { Refusal } from '../../wire.ts';

type OrderRow = {
  ORD_NO: string;
  MBR_ID: string;
  ORD_STS_CD: string;
  ORD_AMT: string;
  PAY_MTHD_CD: string;
  PAY_DTM: string;
  RGST_DTM: string;
};
type DetailRow = { ORD_NO: string; ORD_SEQ: number; PRD_NO: number; ORD_QTY: number; UNIT_PRC: string };
type StockRow = { PRD_NO: number; PRC: string; STK_QTY: number; SALE_YN: string; SALE_END_DT: string };

export const statusNames: Readonly<Record<string, string>> = {
  10: '주문접수',
  20: '결제완료',
  30: '배송중',
  40: '배송완료',
  90: '주문취소',
};

export type Order = {
  ordNo: string;
  ordStsCd: string;
  ordAmt: string;
  payMthdCd: string;
  payDtm: string;
  rgstDtm: string;
};

const toOrder = (row: OrderRow): Order => ({
  ordNo: row.ORD_NO,
  ordStsCd: row.ORD_STS_CD,
  ordAmt: row.ORD_AMT,
  payMthdCd: row.PAY_MTHD_CD,
  payDtm: stampOf(row.PAY_DTM),
  rgstDtm: row.RGST_DTM,
});

/** 12000.00 times 3 is 36000.00, by whole hundredths. */
export function times(price: string, quantity: number): string {
  const hundredths = (BigInt(price.replace('.', '')) * BigInt(quantity)).toString().padStart(3, '0');
  return `${hundredths.slice(0, -2)}.${hundredths.slice(-2)}`;
}

/** The first free number of today: the date and eight digits. */
async function insertOrder(
  tx: Knex.Transaction,
  order: Omit<OrderRow, 'ORD_NO' | 'PAY_DTM'>,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const ORD_NO = order.RGST_DTM.slice(0, 8) + String(randomInt(100_000_000)).padStart(8, '0');
    try {
      await tx<OrderRow>('TB_ORD_MST').insert({ ORD_NO, ...order });
      return ORD_NO;
    } catch (error) {
      if (!isDuplicateKey(error) || attempt === 5) throw error;
    }
  }
}

/** Card and phone pay at once; a transfer arrives later, or never, and then the nightly batch closes the order. */
async function pay(tx: Knex.Transaction, ordNo: string, payMthdCd: string): Promise<'10' | '20'> {
  if (payMthdCd === '02') return '10';
  await tx<OrderRow>('TB_ORD_MST')
    .where({ ORD_NO: ordNo })
    .update({ ORD_STS_CD: '20', PAY_DTM: seoulDateTime() });
  return '20';
}

/**
 * Takes the stock, writes the order and pays it, all in one transaction: the product's row lock is what keeps
 * two buyers from the last piece.
 * @throws Refusal 2002, 4003, 4001; 1001 for a sum that ORD_AMT cannot hold
 */
export function placeOrder(
  db: Database,
  mbrId: string,
  wanted: { prdNo: number; qty: number; payMthdCd: string },
): Promise<{ ordNo: string; ordStsCd: string; ordAmt: string }> {
  return db.transaction(async (tx) => {
    const product = await tx<StockRow>('TB_PRD').where({ PRD_NO: wanted.prdNo }).forUpdate().first();
    if (product === undefined) throw new Refusal('2002');
    const ended = !product.SALE_END_DT.startsWith('0000') && product.SALE_END_DT < seoulDate();
    if (product.SALE_YN !== 'Y' || ended) throw new Refusal('4003');
    if (product.STK_QTY < wanted.qty) throw new Refusal('4001');
    const ordAmt = times(product.PRC, wanted.qty);
    if (ordAmt.length > '9999999999.99'.length) throw new Refusal('1001');
    await tx('TB_PRD').where({ PRD_NO: wanted.prdNo }).decrement('STK_QTY', wanted.qty);
    const ordNo = await insertOrder(tx, {
      MBR_ID: mbrId,
      ORD_STS_CD: '10',
      ORD_AMT: ordAmt,
      PAY_MTHD_CD: wanted.payMthdCd,
      RGST_DTM: seoulStamp(),
    });
    await tx<DetailRow>('TB_ORD_DTL').insert({
      ORD_NO: ordNo,
      ORD_SEQ: 1,
      PRD_NO: wanted.prdNo,
      ORD_QTY: wanted.qty,
      UNIT_PRC: product.PRC,
    });
    return { ordNo, ordStsCd: await pay(tx, ordNo, wanted.payMthdCd), ordAmt };
  });
}

/**
 * Cancels an order that has not been shipped, and gives its stock back.
 * @returns the products whose stock has changed
 * @throws Refusal 2003 when it is not this member's, 4002 when it is too late
 */
export function cancelOrder(db: Database, mbrId: string, ordNo: string): Promise<number[]> {
  return db.transaction(async (tx) => {
    const order = await tx<OrderRow>('TB_ORD_MST')
      .where({ ORD_NO: ordNo, MBR_ID: mbrId })
      .forUpdate()
      .first();
    if (order === undefined) throw new Refusal('2003');
    if (order.ORD_STS_CD !== '10' && order.ORD_STS_CD !== '20') throw new Refusal('4002');
    return closeOrder(tx, ordNo);
  });
}

/** Sets an order, whose row the transaction has locked, to cancelled; the batch does it with the unpaid ones. */
export async function closeOrder(tx: Knex.Transaction, ordNo: string): Promise<number[]> {
  await tx<OrderRow>('TB_ORD_MST').where({ ORD_NO: ordNo }).update({ ORD_STS_CD: '90' });
  const details = await tx<DetailRow>('TB_ORD_DTL').where({ ORD_NO: ordNo }).orderBy('PRD_NO');
  for (const detail of details)
    await tx('TB_PRD').where({ PRD_NO: detail.PRD_NO }).increment('STK_QTY', detail.ORD_QTY);
  return details.map((detail) => detail.PRD_NO);
}

const ordersPerPage = 20;

/** A member's orders, newest first. @param page from 1 */
export async function listOrders(
  db: Database,
  mbrId: string,
  page: number,
): Promise<{ totCnt: number; ordList: Order[] }> {
  const own = () => db<OrderRow>('TB_ORD_MST').where({ MBR_ID: mbrId });
  const [counted] = await own().count({ n: '*' });
  const rows = await own()
    .orderBy('ORD_NO', 'desc')
    .limit(ordersPerPage)
    .offset((page - 1) * ordersPerPage)
    .select('*');
  return { totCnt: Number(counted?.n ?? 0), ordList: rows.map(toOrder) };
}

export type OrderDetail = { ordSeq: number; prdNo: number; prdNm: string; ordQty: number; unitPrc: string };

/** An order with its lines; their names come from the catalog's TB_PRD. @throws Refusal 2003 */
export async function viewOrder(
  db: Database,
  mbrId: string,
  ordNo: string,
): Promise<Order & { dtlList: OrderDetail[] }> {
  const row = await db<OrderRow>('TB_ORD_MST').where({ ORD_NO: ordNo, MBR_ID: mbrId }).first();
  if (row === undefined) throw new Refusal('2003');
  const dtlList = await db('TB_ORD_DTL AS D')
    .leftJoin('TB_PRD AS P', 'P.PRD_NO', 'D.PRD_NO')
    .where({ 'D.ORD_NO': ordNo })
    .orderBy('D.ORD_SEQ')
    .select<OrderDetail[]>(
      'D.ORD_SEQ AS ordSeq',
      'D.PRD_NO AS prdNo',
      db.raw("COALESCE(P.PRD_NM, '') AS prdNm"),
      'D.ORD_QTY AS ordQty',
      'D.UNIT_PRC AS unitPrc',
    );
  return { ...toOrder(row), dtlList };
}

/** ORD_STS_CD of a member's own order; undefined when it is not there. */
export async function findStatus(db: Database, mbrId: string, ordNo: string): Promise<string | undefined> {
  const row = await db<OrderRow>('TB_ORD_MST').where({ ORD_NO: ordNo, MBR_ID: mbrId }).first('ORD_STS_CD');
  return row?.ORD_STS_CD;
}
