// The manner of the shop's API: `*.do` paths, forms in, JSON out, and errors as HTTP 200 with a resultCode.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { withoutControls } from './euckr.ts';

/** Every resultCode but 0000, with what the shop says to it. */
const messages = {
  1001: '필수 파라미터가 없거나 형식이 올바르지 않습니다.',
  1002: '별점은 01부터 10까지 입력할 수 있습니다.',
  1003: '리뷰는 2,000자까지 입력할 수 있습니다.',
  1004: '등록되지 않은 이미지이거나 이미지가 5개를 넘습니다.',
  2001: '리뷰가 존재하지 않습니다.',
  2002: '상품이 존재하지 않습니다.',
  2003: '주문이 존재하지 않습니다.',
  2004: '찜한 상품이 아닙니다.',
  3001: '이미 추천한 리뷰입니다.',
  3002: '이미 찜한 상품입니다.',
  3003: '이미 사용 중인 아이디입니다.',
  4001: '재고가 부족합니다.',
  4002: '취소할 수 없는 주문입니다.',
  4003: '판매 중인 상품이 아닙니다.',
  5001: 'JPEG, PNG, WebP 이미지만 올릴 수 있습니다.',
  5002: '이미지는 5MB까지 올릴 수 있습니다.',
  9001: '로그인이 필요합니다.',
  9002: '아이디 또는 비밀번호가 올바르지 않습니다.',
  9003: '권한이 없습니다.',
  9999: '시스템 오류가 발생했습니다.',
} as const;

export type ResultCode = `${keyof typeof messages}`;

/** What the shop will not do, as the client is told. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly resultCode: ResultCode;
  constructor(resultCode: ResultCode) {
    super(messages[resultCode]);
    this.resultCode = resultCode;
  }
}

/**
 * Where a module hangs its routes: `reads` carries weak ETags and 304s, `writes` does not (nor do streams
 * and files, which know better).
 */
export type Routes = { readonly reads: FastifyInstance; readonly writes: FastifyInstance };

/**
 * JSON with the keys in the order given, also where JavaScript's objects would not keep it: "10" is an index to
 * them and would come before "01". Such an object is a Map, and the answer's last key.
 */
function stringify(body: object): string {
  const [key, last] = Object.entries(body).at(-1) ?? [];
  if (!(last instanceof Map)) return JSON.stringify(body);
  const inner = [...last]
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(',');
  return `${JSON.stringify({ ...body, [String(key)]: undefined }).slice(0, -1)},"${key}":{${inner}}}`;
}

function json(reply: FastifyReply, body: object): FastifyReply {
  const { method } = reply.request;
  if (method === 'GET' || method === 'HEAD') reply.header('cache-control', 'no-cache');
  return reply.header('content-type', 'application/json;charset=UTF-8').send(stringify(body));
}

/** {"resultCode":"0000", …body}: its keys in the order given. */
export const answer = (reply: FastifyReply, body: object = {}): FastifyReply =>
  json(reply, { resultCode: '0000', ...body });

/** {"resultCode":"…","resultMsg":"…"}: HTTP 200, but for a failure of the shop itself (9999), which says so. */
export const refuse = (reply: FastifyReply, resultCode: ResultCode): FastifyReply =>
  json(reply, { resultCode, resultMsg: messages[resultCode] });

/** The form or query parameter, without control characters; the first, where it is given more than once. */
export function param(source: unknown, name: string): string | undefined {
  if (typeof source !== 'object' || source === null || !Object.hasOwn(source, name)) return undefined;
  const given: unknown = Reflect.get(source, name);
  const first: unknown = Array.isArray(given) ? given[0] : given;
  return typeof first === 'string' ? withoutControls(first) : undefined;
}

/** @throws Refusal 1001 when it is not given or does not match */
export function required(source: unknown, name: string, pattern: RegExp): string {
  const value = param(source, name);
  if (value === undefined || !pattern.test(value)) throw new Refusal('1001');
  return value;
}

const idMax = 4_294_967_295; // INT UNSIGNED

/** A number of a product or a review. @throws Refusal 1001 when it is not all digits, or over INT UNSIGNED */
export function requiredId(source: unknown, name: string): number {
  const value = Number(required(source, name, /^\d+$/));
  if (value > idMax) throw new Refusal('1001');
  return value;
}

/** From 1; whatever is no positive integer of up to six digits is 1. */
export function pageOf(source: unknown): number {
  const value = param(source, 'page') ?? '';
  return /^[1-9]\d{0,5}$/.test(value) ? Number(value) : 1;
}

/** An absolute Location, as browsers of the shop's youth asked for; never to another site. */
export function redirect(
  request: FastifyRequest,
  reply: FastifyReply,
  publicUrl: string | undefined,
  path: string,
): FastifyReply {
  const base =
    publicUrl ??
    `http://${request.headers.host ?? `${request.socket.localAddress}:${request.socket.localPort}`}`;
  return reply
    .header('location', base + path)
    .code(302)
    .send();
}
