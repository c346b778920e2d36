// Reviews that are written: GET view.do and POST write.do, modify.do, delete.do, recommend.do, asked of the service and
// answered in the monolith's words.
import type { HttpWriteTranslator, LegacyAnswer, Question, ServiceResponse, ServiceWrite } from '../http.ts';
import {
  isRecord,
  legacyReview,
  notWhatWasAsked,
  type ResultCode,
  refusal,
  withoutControls,
} from './wire.ts';
import { bodyOf, Refused, readChange, readNewReview, requiredNumber, reviewNumber } from './write-form.ts';

function orRefusal<T>(work: () => T): T | { answer: LegacyAnswer } {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return { answer: refusal(error.resultCode) };
    throw error;
  }
}

const questions = {
  photo: (name: string): Question => ({ method: 'HEAD', path: `/photos/${name}` }),
  product: (prdNo: number): Question => ({ method: 'GET', path: `/api/product/stock.do?prdNo=${prdNo}` }),
  order: (ordNo: string): Question => ({ method: 'GET', path: `/api/order/view.do?ordNo=${ordNo}` }),
};

/** @throws Refused 1004 for one that was never uploaded, 9999 when the monolith itself fails */
function checkPhotos(answers: readonly ServiceResponse[]): void {
  for (const answer of answers) {
    if (answer.status === 404) throw new Refused('1004');
    if (answer.status >= 500) throw new Refused('9999');
    if (answer.status !== 200) throw notWhatWasAsked(answer, 'photo of the monolith');
  }
}

/** @throws Refused with what the monolith has refused */
function consultedBody(
  answer: ServiceResponse | undefined,
  ...refusals: ResultCode[]
): Record<string, unknown> {
  const body = isRecord(answer?.body) ? answer.body : {};
  if (body.resultCode === '0000') return body;
  const code = [...refusals, '9001' as const, '9999' as const].find((each) => each === body.resultCode);
  if (code !== undefined) throw new Refused(code);
  throw notWhatWasAsked(answer ?? { status: 0, body: undefined }, 'consulted answer of the monolith');
}

/** The order is the member's, and the product is in it. @throws Refused 2002, 2003 */
function checkOrder(prdNo: number, product: ServiceResponse | undefined, order: ServiceResponse | undefined) {
  consultedBody(product, '2002');
  const { ord } = consultedBody(order, '2003');
  const lines: unknown = isRecord(ord) ? ord.dtlList : undefined;
  if (!Array.isArray(lines) || !lines.some((line) => isRecord(line) && line.prdNo === prdNo))
    throw new Refused('2003');
}

/** The service's word for what it refuses, as the monolith says it. */
const resultCodes: ReadonlyMap<unknown, ResultCode> = new Map([
  ['urn:reviews:problem:not-found', '2001'],
  ['urn:reviews:problem:unknown-product', '2002'],
  ['urn:reviews:problem:conflict', '3001'],
  ['urn:reviews:problem:forbidden', '9003'],
]);

/** @param success of the service's answer; undefined when it is none */
function answerTo(
  response: ServiceResponse,
  status: number,
  what: string,
  success: (body: Record<string, unknown>) => Record<string, unknown> | undefined,
): LegacyAnswer {
  const body = isRecord(response.body) ? response.body : {};
  if (response.status === 500) return refusal('9999');
  const resultCode = response.status >= 400 ? resultCodes.get(body.type) : undefined;
  if (resultCode !== undefined) return refusal(resultCode);
  const answer = response.status === status ? success(body) : undefined;
  if (answer === undefined) throw notWhatWasAsked(response, what);
  return { status: 200, body: { resultCode: '0000', ...answer } };
}

/** No review has the number 0: the service's paths do not know it. */
function ofReview(id: number, method: ServiceWrite['method'], below: string, body?: unknown) {
  if (id === 0) throw new Refused('2001');
  return { ask: { method, path: `/reviews/${id}${below}`, ...(body !== undefined && { body }) } };
}

/** A GET that counts the view. */
export const view: HttpWriteTranslator = {
  request: ({ query }) =>
    orRefusal(() => {
      const given = query.get('rvwSeq');
      return ofReview(requiredNumber(given === null ? undefined : withoutControls(given)), 'POST', '/views');
    }),
  response: (response) =>
    answerTo(response, 200, 'review', (body) => {
      const rvw = legacyReview(body, 'viewed');
      return rvw && { rvw };
    }),
};

export const write: HttpWriteTranslator = {
  consult(legacy) {
    const read = orRefusal(() => readNewReview(legacy));
    if ('answer' in read) return [];
    const { photos, ordNo, productId } = read;
    const order = ordNo === undefined ? [] : [questions.product(productId), questions.order(ordNo)];
    return [...photos.map(questions.photo), ...order];
  },
  request: (legacy, consulted) =>
    orRefusal(() => {
      const { ordNo, productId, rating, text, channel, photos } = readNewReview(legacy);
      checkPhotos(consulted.slice(0, photos.length));
      const body = bodyOf(text);
      if (productId === 0) throw new Refused('2002');
      if (ordNo !== undefined) checkOrder(productId, ...rest(consulted, photos.length));
      return {
        ask: { method: 'POST', path: '/reviews', body: { productId, rating, body, channel, photos } },
      };
    }),
  response: (response) =>
    answerTo(response, 201, 'review', ({ id }) => (typeof id === 'number' ? { rvwSeq: id } : undefined)),
};

const rest = (answers: readonly ServiceResponse[], from: number) =>
  [answers[from], answers[from + 1]] as const;

export const modify: HttpWriteTranslator = {
  consult(legacy) {
    const read = orRefusal(() => readChange(legacy));
    return 'answer' in read ? [] : (read.photos ?? []).map(questions.photo);
  },
  request: (legacy, consulted) =>
    orRefusal(() => {
      const { id, rating, text, photos } = readChange(legacy);
      checkPhotos(consulted);
      const body = bodyOf(text);
      return ofReview(id, 'PATCH', '', { rating, body, ...(photos && { photos }) });
    }),
  response: (response) =>
    answerTo(response, 200, 'review', ({ id }) => (typeof id === 'number' ? { rvwSeq: id } : undefined)),
};

export const remove: HttpWriteTranslator = {
  request: (legacy) => orRefusal(() => ofReview(reviewNumber(legacy), 'DELETE', '')),
  response: (response, legacy) =>
    answerTo(response, 204, 'deleted review', () => ({ rvwSeq: reviewNumber(legacy) })),
};

export const recommend: HttpWriteTranslator = {
  request: (legacy) => orRefusal(() => ofReview(reviewNumber(legacy), 'POST', '/recommendations')),
  response: (response) =>
    answerTo(response, 201, 'review', ({ id, recommendCount }) =>
      typeof id === 'number' && typeof recommendCount === 'number'
        ? { rvwSeq: id, rcmdCnt: recommendCount }
        : undefined,
    ),
};
