// Reviews that are read: GET list.do and summary.do, asked of the service and said in the monolith's words.
import type { HttpReadTranslator, LegacyAnswer, ServiceResponse } from '../http.ts';
import { isRecord, legacyReview, notWhatWasAsked, numberOf, refusal, withoutControls } from './wire.ts';

const pageSize = 10;

/** As legacy reads a parameter: the first of its name. */
const parameter = (query: URLSearchParams, name: string) => withoutControls(query.get(name) ?? '');

const productNumber = (query: URLSearchParams) => numberOf(parameter(query, 'prdNo'));

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

/** @throws TranslationError when it is not what was asked for */
function parse(
  response: ServiceResponse,
  what: string,
  read: (body: Record<string, unknown>) => LegacyAnswer | undefined,
): LegacyAnswer {
  const { status, body } = response;
  const value = status === 200 && isRecord(body) ? read(body) : undefined;
  if (value === undefined) throw notWhatWasAsked(response, what);
  return value;
}

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

export const list: HttpReadTranslator = {
  request({ query }) {
    const product = productNumber(query);
    if (product === undefined) return { answer: refusal('1001') };
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
      const reviews = items.map((item) => legacyReview(item, 'listed'));
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
    return product === undefined
      ? { answer: refusal('1001') }
      : { ask: { path: `/products/${product}/rating-summary` } };
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
