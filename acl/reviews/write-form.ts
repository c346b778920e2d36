// What the forms of write.do, modify.do, delete.do and recommend.do say, and what is wrong with them, in the order in which
// the monolith looks: the form, the session, the parameters, then what is stored.
import type { LegacyWrite } from '../http.ts';
import { euckr } from '../repertoire.ts';
import * as field from './fields.ts';
import { type Form, formOf } from './form.ts';
import { numberOf, type ResultCode } from './wire.ts';

/** What the monolith will not do. */
export class Refused extends Error {
  override name = 'Refused';
  readonly resultCode: ResultCode;
  constructor(resultCode: ResultCode) {
    super(resultCode);
    this.resultCode = resultCode;
  }
}

/** @throws Refused 1001, 9001 */
function memberForm(legacy: LegacyWrite): Form {
  const form = formOf(legacy);
  if (form === undefined) throw new Refused('1001');
  if (legacy.user === undefined) throw new Refused('9001');
  return form;
}

/** @throws Refused 1001 */
function required(form: Form, name: string, pattern: RegExp): string {
  const value = form.get(name);
  if (value === undefined || !pattern.test(value)) throw new Refused('1001');
  return value;
}

/** @throws Refused 1001 */
export function requiredNumber(text: string | undefined): number {
  const number = numberOf(text);
  if (number === undefined) throw new Refused('1001');
  return number;
}

/** @throws Refused 1001, 1002 */
function ratingOf(form: Form): unknown {
  const stars = required(form, 'starPnt', /^/);
  if (!/^(0[1-9]|10)$/.test(stars)) throw new Refused('1002');
  return field.rating.forward(stars);
}

/** @returns the photos' names; undefined when the form does not speak of them. @throws Refused 1004 */
function photosOf(form: Form): string[] | undefined {
  const list = form.get('imgUrls');
  if (list === undefined) return undefined;
  const photos = list === '' ? [] : list.split(',');
  // Names that the monolith makes; of any other it knows without looking that it is not there.
  if (photos.length > field.photosMax || !photos.every((name) => /^[0-9a-f]{32}\.(jpg|png|webp)$/.test(name)))
    throw new Refused('1004');
  return photos;
}

/**
 * The text as the monolith stores it, said in the model's words: a reference that a client has typed is, once stored, the
 * character it refers to.
 * @throws Refused 1003
 */
export function bodyOf(text: string): unknown {
  let stored = '';
  for (const character of text.toWellFormed()) {
    const codePoint = character.codePointAt(0) ?? 0xfffd;
    stored += euckr.holds(codePoint) ? character : `&#${codePoint};`;
  }
  if (stored.length > 2_000) throw new Refused('1003');
  return field.body.forward(stored);
}

/** Everything of write.do that its form alone tells. @throws Refused 1001, 9001, 1002, 1004 */
export function readNewReview(legacy: LegacyWrite) {
  const form = memberForm(legacy);
  const ordNo = form.get('ordNo') || undefined;
  if (ordNo !== undefined && !/^\d{16}$/.test(ordNo)) throw new Refused('1001');
  return {
    ordNo,
    productId: requiredNumber(form.get('prdNo')),
    rating: ratingOf(form),
    text: required(form, 'rvwCtnt', /^/),
    channel: field.channel.forward(form.has('chnlCd') ? required(form, 'chnlCd', /^0[123]$/) : '01'),
    photos: photosOf(form) ?? [],
  };
}

/** Everything of modify.do that its form alone tells. @throws Refused 1001, 9001, 1002, 1004 */
export function readChange(legacy: LegacyWrite) {
  const form = memberForm(legacy);
  return {
    id: requiredNumber(form.get('rvwSeq')),
    rating: ratingOf(form),
    text: required(form, 'rvwCtnt', /^/),
    photos: photosOf(form),
  };
}

/** Of delete.do and recommend.do. @throws Refused 1001, 9001 */
export const reviewNumber = (legacy: LegacyWrite) => requiredNumber(memberForm(legacy).get('rvwSeq'));
