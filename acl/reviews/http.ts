// Reviews on the wire: GET list.do and summary.do, asked of the service and said in the monolith's words.
import { chain, commaList, isoInstant } from '../codecs.ts';
import {
  type HttpReadTranslator,
  type JsonField,
  type LegacyAnswer,
  type ServiceResponse,
  toLegacyJson,
} from '../http.ts';
import { TranslationError } from '../translation-error.ts';
import * as field from './fields.ts';

const { capability } = field;
const pageSize = 10;

const answer = (body: unknown): { answer: LegacyAnswer } => ({ answer: { status: 200, body } });
const badProduct = answer({
  resultCode: '1001',
  resultMsg: '필수 파라미터가 없거나 형식이 올바르지 않습니다.',
});

/** As legacy reads a parameter: the first of its name, without control characters but line breaks and tabs. */
const parameter = (query: URLSearchParams, name: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  (query.get(name) ?? '').replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '');

/** As legacy reads it: digits within INT UNSIGNED. */
function productNumber(query: URLSearchParams): number | undefined {
  const text = parameter(query, 'prdNo');
  const number = Number(text);
  return /^\d+$/.test(text) && number <= 4_294_967_295 ? number : undefined;
}

/** As legacy reads it: anything that is no page is the first. */
const pageNumber = (query: URLSearchParams) => {
  const text = parameter(query, 'page');
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 1;
};

const sorts: ReadonlyMap<string, string> = new Map([
  ['RCNT', 'recent'],
  ['STAR', 'rating'],
  ['RCMD', 'recommended'],
]);

/** The service's answer is input from another process: it is looked at before it is believed. */
function parse<T>(
  response: ServiceResponse,
  what: string,
  read: (body: Record<string, unknown>) => T | undefined,
): T {
  const { status, body } = response;
  const value =
    status === 200 && typeof body === 'object' && body !== null
      ? read(body as Record<string, unknown>)
      : undefined;
  if (value === undefined)
    throw new TranslationError({
      capability,
      table: what,
      key: {},
      field: 'body',
      value: undefined,
      reason: `the service answered ${status} with something else than a ${what}`,
    });
  return value;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0;

type Summary = {
  readonly histogram: readonly number[];
  readonly count: number;
  readonly averageStars: string;
};

function summaryOf(value: unknown): Summary | undefined {
  if (!isRecord(value) || !isRecord(value.histogram)) return undefined;
  const { histogram } = value;
  const counts = Array.from({ length: 10 }, (_, index) => histogram[String(index + 1)]);
  if (!counts.every(isCount)) return undefined;
  const count = counts.reduce((sum, each) => sum + each, 0);
  const halfStars = counts.reduce((sum, each, index) => sum + each * (index + 1), 0);
  // Legacy's own arithmetic, so that the last digit agrees: sum by count by two halves, one place.
  return { histogram: counts, count, averageStars: count === 0 ? '0.0' : (halfStars / count / 2).toFixed(1) };
}

const reviewFields: Readonly<Record<string, JsonField>> = {
  rvwSeq: { from: 'id', codec: field.id },
  mbrId: { from: 'authorId', codec: field.memberId },
  mbrNm: { from: 'authorName', codec: field.memberName },
  starPnt: { from: 'rating', codec: field.rating },
  rvwCtnt: { from: 'body', codec: field.body },
  dspYn: { from: 'visibility', codec: field.visibility },
  rgstDtm: { from: 'createdAt', codec: chain(field.createdAt, isoInstant) },
  imgUrls: {
    from: 'photos',
    codec: commaList({
      itemLengthMax: field.photoName.lengthMax,
      itemsMax: field.photosMax,
      repertoire: field.photoName.repertoire,
    }),
  },
};

function legacyReview(value: unknown): Record<string, unknown> | undefined {
  if (!isRecord(value) || !isRecord(value.author)) return undefined;
  // A member that legacy no longer knows has no name there either.
  const model = { ...value, authorId: value.author.id, authorName: value.author.displayName ?? '' };
  return toLegacyJson(capability, 'review', reviewFields, model);
}

export const list: HttpReadTranslator = {
  request({ query }) {
    const product = productNumber(query);
    if (product === undefined) return badProduct;
    const sort = sorts.get(parameter(query, 'sort')) ?? 'recent';
    return {
      ask: {
        path: `/products/${product}/reviews?sort=${sort}&page=${pageNumber(query)}&pageSize=${pageSize}`,
      },
    };
  },
  response: (response) =>
    parse(response, 'page of reviews', ({ items, summary }) => {
      const ratings = summaryOf(summary);
      if (!ratings || !Array.isArray(items)) return undefined;
      const reviews = items.map(legacyReview);
      if (reviews.includes(undefined)) return undefined;
      return {
        status: 200,
        body: { resultCode: '0000', totCnt: ratings.count, avgStar: ratings.averageStars, rvwList: reviews },
      };
    }),
};

export const summary: HttpReadTranslator = {
  request({ query }) {
    const product = productNumber(query);
    return product === undefined ? badProduct : { ask: { path: `/products/${product}/rating-summary` } };
  },
  response: (response, { query }) =>
    parse(response, 'rating summary', (body) => {
      const ratings = summaryOf(body);
      if (!ratings) return undefined;
      const starCnt = new Map(
        ratings.histogram.map((each, index) => [String(index + 1).padStart(2, '0'), each]),
      );
      return {
        status: 200,
        body: {
          resultCode: '0000',
          prdNo: productNumber(query),
          totCnt: ratings.count,
          avgStar: ratings.averageStars,
          starCnt,
        },
      };
    }),
};
