// What becomes of a write on its way to the service and back: pure, whatever clients send. That the monolith says the
// same is proven with the real one in test/story/writes-alike.mysql.test.ts.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HttpWriteTranslator, LegacyWrite, ServiceResponse } from '../http.ts';
import { euckr } from '../repertoire.ts';
import { TranslationError } from '../translation-error.ts';
import * as field from './fields.ts';
import { formOf } from './form.ts';
import { withoutControls } from './wire.ts';
import { modify, recommend, remove, view, write } from './writes.ts';

const seed = Number(process.env.BANYAN_TEST_SEED ?? 20_261_121);

const form = 'application/x-www-form-urlencoded';

const legacy = (
  fields: Readonly<Record<string, string>> | string,
  given: Partial<LegacyWrite> = {},
): LegacyWrite => ({
  method: 'POST',
  path: '/',
  query: new URLSearchParams(),
  contentType: form,
  body: Buffer.from(typeof fields === 'string' ? fields : new URLSearchParams(fields).toString()),
  user: 'kim',
  ...given,
});

const codeOf = (result: ReturnType<HttpWriteTranslator['request']>): unknown =>
  'answer' in result && typeof result.answer.body === 'object' && result.answer.body !== null
    ? Reflect.get(result.answer.body, 'resultCode')
    : 'asks';

const photo = `${'a'.repeat(32)}.jpg`;
const there: ServiceResponse = { status: 200, body: undefined };
const missing: ServiceResponse = { status: 404, body: undefined };
const said = (resultCode: string, more: object = {}): ServiceResponse => ({
  status: resultCode === '9999' ? 500 : 200,
  body: { resultCode, ...more },
});
const orderOf = (...products: number[]) =>
  said('0000', { ord: { dtlList: products.map((prdNo) => ({ prdNo })) } });

const review = { prdNo: '7', starPnt: '09', rvwCtnt: '좋아요', chnlCd: '03', imgUrls: photo };

describe('forms', () => {
  test('what is encoded well is read as it was meant, without control characters', () => {
    const value = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1 }), value, { maxKeys: 5 }),
        (fields) => {
          const { contentType, body } = legacy(fields);
          const meant = Object.entries(fields).map(([name, text]) => [
            name,
            withoutControls(text.toWellFormed()),
          ]);
          expect([...(formOf({ contentType, body }) ?? [])]).toEqual(meant);
        },
      ),
      { seed },
    );
  });

  test.each([
    ['the first of a name', 'a=1&a=2', { a: '1' }],
    ['a wrong escape: all of it stays', 'a=100%+%EC%A2%8B', { a: '100% %EC%A2%8B' }],
    ['escapes of another character set', 'a=%B0%A1', { a: '%B0%A1' }],
    ['a name alone, pairs of nothing, signs of equality', 'a&&=x&b=1=2', { a: '', '': 'x', b: '1=2' }],
  ])('%s', (_name, body, fields) => {
    expect(Object.fromEntries(formOf(legacy(body)) ?? [])).toEqual(fields);
  });

  test.each([
    ['JSON', { contentType: 'application/json' }, undefined],
    ['a body without a type', { contentType: undefined }, undefined],
    ['more than 64 KiB', { body: Buffer.alloc(65_537, 'x') }, undefined],
    ['no body, no type', { contentType: undefined, body: Buffer.of() }, 0],
    ['another spelling of the type', { contentType: 'Application/X-WWW-Form-Urlencoded ; charset=x' }, 1],
  ])('%s', (_name, given, fields) => {
    expect(formOf(legacy('a=1', given))?.size).toBe(fields);
  });
});

describe('a text', () => {
  test('comes to the service as what the monolith would store, or is too long for both', () => {
    const unit = fc.oneof(
      { weight: 5, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
      fc.constantFrom(
        '가',
        '&#',
        '&#233;',
        '&#128;',
        '&#38;',
        '😀',
        '\u0085',
        ';',
        '1',
        '가'.repeat(990),
        '😀'.repeat(110),
      ),
    );
    let tooLong = 0;
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 8 }), (parts) => {
        const text = parts.join('').toWellFormed();
        const stored = [...withoutControls(text)]
          .map((character) => {
            const codePoint = character.codePointAt(0) ?? 0;
            return euckr.holds(codePoint) ? character : `&#${codePoint};`;
          })
          .join('');
        const result = modify.request(legacy({ rvwSeq: '1', starPnt: '01', rvwCtnt: text }), []);
        if ([...stored].length > 2_000) {
          tooLong++;
          expect(codeOf(result)).toBe('1003');
          return;
        }
        const body = 'ask' in result && typeof result.ask.body === 'object' ? result.ask.body : undefined;
        expect(body).toMatchObject({ rating: 1 });
        expect(field.body.back(Reflect.get(body ?? {}, 'body'))).toBe(stored);
      }),
      { seed, numRuns: 500 },
    );
    expect(tooLong).toBeGreaterThan(0);
  });
});

describe('what is wrong is said in the order in which the monolith looks', () => {
  /** Each takes one fault away, in order; the code is the one that is said while it is there. */
  test('write.do', () => {
    const wrong = { ordNo: '1', prdNo: 'x', starPnt: '', chnlCd: '9', imgUrls: 'x' };
    const ordNo = '1'.repeat(16);
    const long = 'x'.repeat(2_001);
    const [good, bad] = [[there], [missing]];
    const steps: [string, LegacyWrite, ServiceResponse[]][] = [
      ['1001', legacy(wrong, { user: undefined, contentType: 'text/plain' }), []],
      ['9001', legacy(wrong, { user: undefined }), []],
      ['1001', legacy(wrong), []],
      ['1001', legacy({ ...wrong, ordNo }), []],
      ['1001', legacy({ ordNo, prdNo: '7', imgUrls: 'x' }), []],
      ['1002', legacy({ ...wrong, ordNo, prdNo: '7' }), []],
      ['1001', legacy({ ...wrong, ordNo, prdNo: '7', starPnt: '10' }), []],
      ['1001', legacy({ ...wrong, ordNo, prdNo: '7', starPnt: '10', rvwCtnt: long }), []],
      ['1004', legacy({ ...review, imgUrls: 'x', rvwCtnt: long, ordNo }), []],
      ['1004', legacy({ ...review, rvwCtnt: long, ordNo }), [...bad, said('2002'), said('2003')]],
      ['1003', legacy({ ...review, rvwCtnt: long, ordNo }), [...good, said('2002'), said('2003')]],
      ['2002', legacy({ ...review, ordNo }), [...good, said('2002'), said('2003')]],
      ['2002', legacy({ ...review, prdNo: '0' }), good],
      ['2003', legacy({ ...review, ordNo }), [...good, said('0000'), said('2003')]],
      ['2003', legacy({ ...review, ordNo }), [...good, said('0000'), orderOf(1, 8)]],
      ['9001', legacy({ ...review, ordNo }), [...good, said('0000'), said('9001')]],
      ['9999', legacy({ ...review, ordNo }), [...good, said('0000'), said('9999')]],
      ['asks', legacy({ ...review, ordNo }), [...good, said('0000'), orderOf(1, 7)]],
    ];
    expect(steps.map(([, request, consulted]) => codeOf(write.request(request, consulted)))).toEqual(
      steps.map(([code]) => code),
    );
  });

  test('the others', () => {
    const change = { rvwSeq: '3', starPnt: '05', rvwCtnt: 'x' };
    const steps: [string, HttpWriteTranslator, LegacyWrite, ServiceResponse[]][] = [
      ['9001', modify, legacy({}, { user: undefined }), []],
      ['1001', modify, legacy({ ...change, rvwSeq: '4294967296', starPnt: '11' }), []],
      ['1002', modify, legacy({ ...change, rvwSeq: '0', starPnt: '11' }), []],
      ['1004', modify, legacy({ ...change, imgUrls: Array(6).fill(photo).join() }), []],
      ['1004', modify, legacy({ ...change, rvwSeq: '0', imgUrls: photo }), [missing]],
      ['9999', modify, legacy({ ...change, imgUrls: photo }), [{ status: 500, body: undefined }]],
      ['1003', modify, legacy({ ...change, rvwSeq: '0', rvwCtnt: 'x'.repeat(2_001) }), []],
      ['2001', modify, legacy({ ...change, rvwSeq: '0' }), []],
      ['9001', remove, legacy({}, { user: undefined }), []],
      ['1001', remove, legacy({ rvwSeq: '' }), []],
      ['2001', recommend, legacy({ rvwSeq: '00' }), []],
      ['1001', view, legacy('', { user: undefined }), []],
      ['2001', view, legacy('', { user: undefined, query: new URLSearchParams('rvwSeq=0') }), []],
      ['asks', view, legacy('', { user: undefined, query: new URLSearchParams('rvwSeq=007&rvwSeq=x') }), []],
    ];
    expect(
      steps.map(([, translator, request, consulted]) => codeOf(translator.request(request, consulted))),
    ).toEqual(steps.map(([code]) => code));
  });
});

test('the monolith is asked what only it knows, and only when the form is right', () => {
  const ordNo = '2'.repeat(16);
  expect(write.consult?.(legacy({ ...review, ordNo, imgUrls: `${photo},${photo}` }))).toEqual([
    { method: 'HEAD', path: `/photos/${photo}` },
    { method: 'HEAD', path: `/photos/${photo}` },
    { method: 'GET', path: '/api/product/stock.do?prdNo=7' },
    { method: 'GET', path: `/api/order/view.do?ordNo=${ordNo}` },
  ]);
  expect(write.consult?.(legacy({ ...review, imgUrls: '', ordNo: '' }))).toEqual([]);
  expect(write.consult?.(legacy({ ...review, ordNo, chnlCd: '' }))).toEqual([]);
  expect(write.consult?.(legacy({ ...review, ordNo }, { user: undefined }))).toEqual([]);
  expect(modify.consult?.(legacy({ rvwSeq: '1', starPnt: '01', rvwCtnt: '', imgUrls: photo }))).toHaveLength(
    1,
  );
});

test('the service is asked in its own words', () => {
  const ask = (
    translator: HttpWriteTranslator,
    fields: Readonly<Record<string, string>>,
    ...consulted: ServiceResponse[]
  ) => {
    const result = translator.request(legacy(fields), consulted);
    return 'ask' in result ? result.ask : result;
  };
  expect(ask(write, review, there)).toEqual({
    method: 'POST',
    path: '/reviews',
    body: { productId: 7, rating: 9, body: '좋아요', channel: 'app', photos: [photo] },
  });
  const change = { rvwSeq: '03', starPnt: '10', rvwCtnt: '' };
  expect(ask(modify, change)).toEqual({
    method: 'PATCH',
    path: '/reviews/3',
    body: { rating: 10, body: '' },
  });
  expect(ask(modify, { ...change, imgUrls: '' })).toMatchObject({ body: { photos: [] } });
  expect(ask(remove, { rvwSeq: '3' })).toEqual({ method: 'DELETE', path: '/reviews/3' });
  expect(ask(recommend, { rvwSeq: '3' })).toEqual({ method: 'POST', path: '/reviews/3/recommendations' });
});

test('the answers of the service, in the words of the monolith, or not at all', () => {
  const request = legacy({ rvwSeq: '3' });
  const problem = (status: number, type: string) => ({
    status,
    body: { type: `urn:reviews:problem:${type}` },
  });
  const body = {
    ...{ id: 3, productId: 7, rating: 9, body: 'é', visibility: 'visible', viewCount: 1, recommendCount: 2 },
    ...{ author: { id: 'kim', displayName: null }, photos: ['a.jpg', 'b.jpg'] },
    ...{ createdAt: '2023-11-01T00:30:00Z', updatedAt: null },
  };
  const say = (translator: HttpWriteTranslator, response: ServiceResponse) =>
    JSON.stringify(translator.response(response, request));
  const ok = (text: string) => `{"status":200,"body":{"resultCode":"0000",${text}}}`;
  expect(say(write, { status: 201, body })).toBe(ok('"rvwSeq":3'));
  expect(say(modify, { status: 200, body })).toBe(ok('"rvwSeq":3'));
  expect(say(remove, { status: 204, body: undefined })).toBe(ok('"rvwSeq":3'));
  expect(say(recommend, { status: 201, body })).toBe(ok('"rvwSeq":3,"rcmdCnt":2'));
  expect(say(view, { status: 200, body })).toBe(
    ok(
      '"rvw":{"rvwSeq":3,"mbrId":"kim","mbrNm":"","starPnt":"09","rvwCtnt":"&#233;","dspYn":"Y","rgstDtm":"20231101093000",' +
        '"imgUrls":"a.jpg,b.jpg","prdNo":7,"viewCnt":1,"rcmdCnt":2,"modDtm":""}',
    ),
  );
  expect(say(view, { status: 200, body: { ...body, updatedAt: '2023-11-01T15:00:00Z' } })).toContain(
    '"modDtm":"20231102000000"',
  );
  const refused: [ServiceResponse, string][] = [
    [problem(404, 'not-found'), '2001'],
    [problem(422, 'unknown-product'), '2002'],
    [problem(409, 'conflict'), '3001'],
    [problem(403, 'forbidden'), '9003'],
    [problem(500, 'internal'), '9999'],
  ];
  for (const [response, code] of refused) expect(say(write, response)).toContain(`{"resultCode":"${code}",`);
  expect(write.response(problem(500, 'internal'), request).status).toBe(500);
  for (const translator of [view, write, modify, remove, recommend])
    for (const response of [
      problem(401, 'unauthenticated'),
      problem(422, 'not-storable'),
      { status: 404, body: undefined },
      { status: 202, body },
      { status: translator === view || translator === modify ? 200 : 201, body: {} },
    ])
      expect(() => translator.response(response, request)).toThrow(TranslationError);
});
