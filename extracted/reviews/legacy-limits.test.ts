import { expect, test } from 'vitest';
import { ReviewsError } from './errors.ts';
import {
  checkBody,
  checkMemberId,
  checkPhotos,
  checkProductId,
  checkRating,
  encodedLength,
} from './legacy-limits.ts';

const reasonOf = (check: () => void): string | undefined => {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof ReviewsError && error.code === 'not-storable') return error.message;
    throw error;
  }
};

test.each([
  ['empty', ''],
  ['Korean, 2000 characters', '가'.repeat(2000)],
  ['a syllable that only the extension of euckr has', '똠방각하 펲시콜라'],
  ['emoji that fill the column exactly', `${'😀'.repeat(222)}${'x'.repeat(2)}`],
  ['lines', 'a\tb\r\nc'],
  ['a backslash, a tilde, a euro', '\\ ~ €'],
  ['a reference to what euckr holds: it stays as written', '&#38; &#44032;'],
  ['a reference with a leading zero', '&#0233;'],
  ['a hexadecimal reference', '&#xe9;'],
  ['a reference to no character', '&#55296; &#1114112; &#9999999;'],
  ['the beginning of a reference', '&#128512'],
  ['a C1 control, which stands as a reference in euckr', 'a\u0085b'],
])('a body may be: %s', (_name, body) => {
  expect(reasonOf(() => checkBody(body))).toBeUndefined();
});

test.each([
  ['one character too many', '가'.repeat(2001), /needs 2001 characters/],
  ['few characters that need many', '😀'.repeat(223), /needs 2007 characters/],
  ['a reference to what euckr cannot hold', 'x &#233; y', /contains &#233;, which would come back/],
  ['a reference to an emoji after an open one', '&#1&#128512;', /contains &#128512;/],
  ['NUL', 'a\0b', /control character U\+0000/],
  ['DEL', 'a\u007fb', /control character U\+007F/],
  ['half a surrogate pair', 'a\ud83d', /surrogate/],
])('a body may not be: %s', (_name, body, reason) => {
  expect(reasonOf(() => checkBody(body))).toMatch(reason);
});

test('the length is that of the encoded text', () => {
  expect(encodedLength('가a😀é')).toBe(1 + 1 + '&#128512;'.length + '&#233;'.length);
});

test.each([
  ['', /1 to 20/],
  ['가'.repeat(21), /1 to 20/],
  ['kim ', /ends with a space/],
  ['k\nim', /control character/],
  ['josé', /U\+00E9, which euckr cannot hold/],
])('no member has the id %j', (id, reason) => {
  expect(reasonOf(() => checkMemberId(id))).toMatch(reason);
});

test('numbers and photos have their limits', () => {
  expect(reasonOf(() => checkMemberId('홍길동 2'))).toBeUndefined();
  expect(reasonOf(() => checkRating(0))).toMatch(/1 to 10/);
  expect(reasonOf(() => checkRating(11))).toMatch(/1 to 10/);
  expect(reasonOf(() => checkProductId(4_294_967_296))).toMatch(/4294967295/);
  expect(reasonOf(() => checkPhotos(['a.jpg', 'B_2-x.png']))).toBeUndefined();
  expect(reasonOf(() => checkPhotos(['a,b.jpg']))).toMatch(/photos.0/);
  expect(reasonOf(() => checkPhotos(['a', 'b', 'c', 'd', 'e', 'f']))).toMatch(/at most 5/);
  expect(reasonOf(() => checkPhotos(['x'.repeat(101)]))).toMatch(/1 to 100/);
});
