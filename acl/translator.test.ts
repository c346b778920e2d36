import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeTable, decimalToMinorUnits, renamed, uint32, yesNoFlag } from './codecs.ts';
import { checkTranslatorLaws } from './laws.ts';
import * as reviews from './reviews/rows.ts';
import { TranslationError } from './translation-error.ts';
import { rowTranslator } from './translator.ts';

const seed = Number(process.env.BANYAN_TEST_SEED ?? 20_261_120);
console.log(`translator laws: seed ${seed}`);

/** One legacy row that feeds two service rows, of which the second exists by another table's will. */
const order = rowTranslator({
  capability: 'orders',
  source: { table: 'TB_ORD', key: ['ORD_NO'], preserved: ['MEMO'] },
  targets: [
    {
      table: 'order',
      key: ['id'],
      root: true,
      columns: {
        id: { from: 'ORD_NO', codec: renamed(uint32) },
        amount_minor: { from: 'ORD_AMT', codec: decimalToMinorUnits({ precision: 12, scale: 2 }) },
      },
      constants: { currency: 'KRW' },
    },
    {
      table: 'shipment',
      key: ['order_id'],
      root: false,
      columns: {
        order_id: { from: 'ORD_NO', codec: renamed(uint32) },
        gift: { from: 'GIFT_YN', codec: yesNoFlag() },
        carrier: { from: 'CARR_CD', codec: codeTable({ A: 'air', S: 'sea' }) },
      },
    },
  ],
});

describe('both laws hold for every translator, for rows generated from its declared columns', () => {
  test.each([...Object.entries(reviews), ['two targets', order] as const])('%s', (_, translator) => {
    checkTranslatorLaws(fc, translator, { seed, numRuns: 200 });
  });
});

const row = {
  RVW_SEQ: 7,
  PRD_NO: 3,
  MBR_ID: 'kim',
  STAR_PNT: '09',
  RVW_CTNT: '좋아요',
  CHNL_CD: '01',
  DSP_YN: 'Y',
  DEL_YN: 'N',
  VIEW_CNT: 1,
  RCMD_CNT: 0,
  RGST_DTM: '20231101093000',
  MOD_DTM: '0000-00-00 00:00:00',
};

test('a value outside its column names capability, table, key, field and reason, and keeps the value off the message', () => {
  const error = (() => {
    try {
      reviews.review.forward({ ...row, DSP_YN: 'secret' });
    } catch (caught) {
      return caught;
    }
  })();
  expect(error).toBeInstanceOf(TranslationError);
  if (!(error instanceof TranslationError)) return;
  expect(error.fault).toMatchObject({
    capability: 'reviews',
    table: 'TB_RVW_MST',
    key: { RVW_SEQ: 7 },
    field: 'DSP_YN',
    value: 'secret',
  });
  expect(error.message).toContain('TB_RVW_MST (RVW_SEQ=7), field DSP_YN');
  expect(error.message).not.toContain('secret');
});

test('the way back names only the columns that come from that target: legacy-only ones are never written', () => {
  const [forward] = reviews.review.forward({ ...row, ORD_NO: '2023110100000001', RGST_IP: '10.0.0.1' });
  const back = reviews.review.back('review', forward?.columns ?? {});
  expect(back).toMatchObject({ table: 'TB_RVW_MST', key: { RVW_SEQ: 7 }, root: true, columns: row });
  expect(Object.keys(back.columns)).not.toContain('ORD_NO');
  expect(Object.keys(back.columns)).not.toContain('RGST_IP');
  expect(order.back('shipment', { order_id: 1, gift: 0, carrier: 'sea' })).toMatchObject({
    root: false,
    columns: { ORD_NO: 1, GIFT_YN: 'N', CARR_CD: 'S' },
  });
  expect(() => order.back('order', { id: 1, amount_minor: '1', currency: 'USD' })).toThrow(/constant/);
});

test('a wrong declaration names every fault', () => {
  expect(() =>
    rowTranslator({
      capability: 'x',
      source: { table: 'T', key: ['A'], preserved: ['B'] },
      targets: [
        {
          table: 't',
          key: ['a', 'z'],
          root: true,
          columns: { b: { from: 'B', codec: renamed(uint32) } },
          constants: { b: 1 },
        },
      ],
    }),
  ).toThrow(
    /key column t\.a[\s\S]*key column t\.z[\s\S]*key column A[\s\S]*a column and a constant[\s\S]*translated and preserved/,
  );
});
