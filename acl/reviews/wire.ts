// What the reviews' routes have in common on the wire: parameters as the monolith reads them, its words for what it
// refuses, and a review as it says it.
import { chain, commaList, isoInstant, zeroDate } from '../codecs.ts';
import { type JsonField, type LegacyAnswer, type ServiceResponse, toLegacyJson } from '../http.ts';
import { TranslationError } from '../translation-error.ts';
import * as field from './fields.ts';

const { capability } = field;

/** Those of the monolith's resultCodes that reviews can meet, with its messages. */
const messages = {
  '1001': '필수 파라미터가 없거나 형식이 올바르지 않습니다.',
  '1002': '별점은 01부터 10까지 입력할 수 있습니다.',
  '1003': '리뷰는 2,000자까지 입력할 수 있습니다.',
  '1004': '등록되지 않은 이미지이거나 이미지가 5개를 넘습니다.',
  '2001': '리뷰가 존재하지 않습니다.',
  '2002': '상품이 존재하지 않습니다.',
  '2003': '주문이 존재하지 않습니다.',
  '3001': '이미 추천한 리뷰입니다.',
  '9001': '로그인이 필요합니다.',
  '9003': '권한이 없습니다.',
  '9999': '시스템 오류가 발생했습니다.',
} as const;

export type ResultCode = keyof typeof messages;

/** HTTP 200, but for a failure of the system itself. */
export const refusal = (resultCode: ResultCode): LegacyAnswer => ({
  status: resultCode === '9999' ? 500 : 200,
  body: { resultCode, resultMsg: messages[resultCode] },
});

/** Without control characters but line breaks and tabs. */
export const withoutControls = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '');

/** A product's or a review's number: digits within INT UNSIGNED. */
export function numberOf(text: string | undefined): number | undefined {
  const number = Number(text);
  return text !== undefined && /^\d+$/.test(text) && number <= 4_294_967_295 ? number : undefined;
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The service's answer is input from another process: what it means when it is not what was asked for. */
export const notWhatWasAsked = ({ status, body }: ServiceResponse, what: string) =>
  new TranslationError({
    capability,
    table: what,
    key: {},
    field: 'body',
    value: undefined,
    reason: `the answer was ${status} ${isRecord(body) && status >= 400 ? `(${String(body.type)}), ` : ''}and no ${what}`,
  });

const instant = chain(field.createdAt, isoInstant);

const reviewFields: Readonly<Record<string, JsonField>> = {
  rvwSeq: { from: 'id', codec: field.id },
  mbrId: { from: 'authorId', codec: field.memberId },
  mbrNm: { from: 'authorName', codec: field.memberName },
  starPnt: { from: 'rating', codec: field.rating },
  rvwCtnt: { from: 'body', codec: field.body },
  dspYn: { from: 'visibility', codec: field.visibility },
  rgstDtm: { from: 'createdAt', codec: instant },
  imgUrls: {
    from: 'photos',
    codec: commaList({
      itemLengthMax: field.photoName.lengthMax,
      itemsMax: field.photosMax,
      repertoire: field.photoName.repertoire,
    }),
  },
};

/** What only the review's own page says. */
const detailFields: Readonly<Record<string, JsonField>> = {
  prdNo: { from: 'productId', codec: field.id },
  viewCnt: { from: 'viewCount', codec: field.count },
  rcmdCnt: { from: 'recommendCount', codec: field.count },
  modDtm: { from: 'updatedAt', codec: zeroDate(instant, '') },
};

/** A review in the monolith's words; undefined when it is none. */
export function legacyReview(value: unknown, form: 'listed' | 'viewed'): Record<string, unknown> | undefined {
  if (!isRecord(value) || !isRecord(value.author)) return undefined;
  // A member that legacy no longer knows has no name there either.
  const model = { ...value, authorId: value.author.id, authorName: value.author.displayName ?? '' };
  const fields = form === 'listed' ? reviewFields : { ...reviewFields, ...detailFields };
  return toLegacyJson(capability, 'review', fields, model);
}
