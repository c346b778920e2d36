// The service and the monolith follow each other, so the service accepts only what the monolith's columns can
// hold: texts in MariaDB's euckr. What euckr cannot hold stands in a review's text there as a decimal numeric
// character reference (`&#128512;`), as browsers do in forms of such pages.
import { ReviewsError } from './errors.ts';

/** VARCHAR(2000), counted in characters, after the references are written out. */
const bodyEncodedMax = 2000;
const memberIdMax = 20;
const photosMax = 5;
const intUnsignedMax = 4_294_967_295;

const euckr = repertoire();

/** True when MariaDB's euckr holds the character as it is. */
export function isEuckr(codePoint: number): boolean {
  return euckr.has(codePoint);
}

/** How many characters the monolith's column needs for the text. */
export function encodedLength(text: string): number {
  let length = 0;
  for (const character of text) {
    const codePoint = character.codePointAt(0) ?? 0;
    length += isEuckr(codePoint) ? 1 : `&#${codePoint};`.length;
  }
  return length;
}

/** @throws ReviewsError not-storable, for each of these */
export function checkRating(rating: number): void {
  if (rating < 1 || rating > 10) refuse('rating', 'is given in half stars, 1 to 10');
}

export function checkProductId(productId: number): void {
  if (productId < 1 || productId > intUnsignedMax) refuse('productId', `must be from 1 to ${intUnsignedMax}`);
}

export function checkBody(body: string): void {
  checkCharacters('body', body);
  const length = encodedLength(body);
  if (length > bodyEncodedMax)
    refuse('body', `needs ${length} characters in the monolith's euckr, and ${bodyEncodedMax} is the most`);
  // `&#233;` written by hand would come back as é: the monolith cannot tell the two apart. `&#38;` stays as it is.
  for (const [reference, digits] of body.matchAll(/&#([1-9]\d{0,6});/g)) {
    const codePoint = Number(digits);
    const isCharacter = codePoint <= 0x10ffff && !(codePoint >= 0xd800 && codePoint <= 0xdfff);
    if (isCharacter && !isEuckr(codePoint))
      refuse('body', `contains ${reference}, which would come back as the character it stands for`);
  }
}

/** A member's id: a key of the monolith, where nothing is written out and trailing spaces do not count. */
export function checkMemberId(id: string): void {
  const field = 'memberId';
  checkCharacters(field, id);
  const length = [...id].length;
  if (length < 1 || length > memberIdMax) refuse(field, `must have 1 to ${memberIdMax} characters`);
  if (/[\t\r\n]/.test(id)) refuse(field, 'contains a control character');
  if (id.endsWith(' ')) refuse(field, 'ends with a space');
  for (const character of id)
    if (!isEuckr(character.codePointAt(0) ?? 0))
      refuse(field, `contains ${codeOf(character)}, which euckr cannot hold`);
}

/** The monolith keeps the names ascii, and shows them as one comma list. */
export function checkPhotos(photos: readonly string[]): void {
  if (photos.length > photosMax) refuse('photos', `are at most ${photosMax}`);
  for (const [index, name] of photos.entries())
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(name))
      refuse(`photos.${index}`, 'must be 1 to 100 of the characters A-Z a-z 0-9 . _ -');
}

/**
 * U+0080 to U+009F are let through: euckr has no place for them, so that in the monolith's column they stand as references,
 * as which members can write them. A reference to one that euckr has, such as `&#7;`, stays the text that it is.
 */
function checkCharacters(field: string, text: string): void {
  if (!text.isWellFormed()) refuse(field, 'contains half of a surrogate pair');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(text)?.[0];
  if (control !== undefined) refuse(field, `contains the control character ${codeOf(control)}`);
}

const codeOf = (character: string) =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;

function refuse(field: string, reason: string): never {
  throw new ReviewsError('not-storable', `${field} ${reason}`, field);
}

/**
 * What MariaDB's euckr holds: ASCII, KS X 1001, and all 11,172 syllables of Hangul (the extension known as UHC).
 * KS X 1001 is what the platform decodes; the rest is said here, for platforms differ in it, and MariaDB counts.
 */
function repertoire(): ReadonlySet<number> {
  const characters = new Set<number>();
  for (let ascii = 0; ascii < 0x80; ascii++) characters.add(ascii);
  const decoder = new TextDecoder('euc-kr');
  for (let lead = 0xa1; lead <= 0xfe; lead++)
    for (let trail = 0xa1; trail <= 0xfe; trail++) {
      const [character, ...more] = decoder.decode(Uint8Array.of(lead, trail));
      const codePoint = character?.codePointAt(0) ?? 0xfffd;
      // Two rows for the user's own characters (U+E000 and on): MariaDB does not know them.
      if (more.length === 0 && codePoint !== 0xfffd && (codePoint < 0xe000 || codePoint > 0xf8ff))
        characters.add(codePoint);
    }
  for (let syllable = 0xac00; syllable <= 0xd7a3; syllable++) characters.add(syllable);
  // The euro and the registered sign came to KS X 1001 in 1998, too late for some decoders.
  return characters.add(0x20ac).add(0xae);
}
