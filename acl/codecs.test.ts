import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as codecs from './codecs.ts';
import { checkCodecLaws } from './laws.ts';
import { ascii, euckr } from './repertoire.ts';

const seed = Number(process.env.BANYAN_TEST_SEED ?? 20_261_120);
console.log(`codec laws: seed ${seed}`);

const every: readonly codecs.Codec[] = [
  codecs.renamed(codecs.uint32),
  codecs.yesNoFlag(),
  codecs.codeTable({ '01': 'desktop', '02': 'mobile' }),
  codecs.fixedWidthCode({ width: 2, min: 1, max: 10 }),
  codecs.legacyTimestamp('Asia/Seoul'),
  codecs.legacyTimestamp('America/New_York'),
  codecs.localDatetime('Europe/Dublin'),
  codecs.zeroDate(codecs.localDatetime('Asia/Seoul')),
  codecs.isoInstant,
  codecs.decimalToMinorUnits({ precision: 12, scale: 2 }),
  codecs.decimalToMinorUnits({ precision: 65, scale: 30 }),
  codecs.decimalToMinorUnits({ precision: 9, scale: 0 }),
  codecs.commaList({ itemLengthMax: 20, itemsMax: 5, repertoire: ascii }),
  codecs.trimmedChar({ width: 12, repertoire: euckr }),
  codecs.euckrText({ lengthMax: 200 }),
  codecs.chain(codecs.legacyTimestamp('Asia/Seoul'), codecs.isoInstant),
];

describe('both laws hold for every codec', () => {
  test.each(every.map((codec) => [codec.name, codec] as const))('%s', (_, codec) => {
    checkCodecLaws(fc, codec, { seed, numRuns: 400 });
  });
});

const refuses = (codec: codecs.Codec, direction: 'forward' | 'back', value: unknown, reason: RegExp) => {
  expect(() => codec[direction](value)).toThrow(codecs.CodecFault);
  expect(() => codec[direction](value)).toThrow(reason);
};

describe('what is outside a domain is refused, with its reason and without the value', () => {
  const seoul = codecs.legacyTimestamp('Asia/Seoul');
  const newYork = codecs.legacyTimestamp('America/New_York');
  const money = codecs.decimalToMinorUnits({ precision: 5, scale: 2 });
  const text = codecs.euckrText({ lengthMax: 10 });
  test.each([
    ['a code that is not in the table', codecs.codeTable({ Y: 1 }), 'forward', 'y', /not one of/],
    ['a flag that is NULL', codecs.yesNoFlag(), 'forward', null, /not one of/],
    [
      'a code of another width',
      codecs.fixedWidthCode({ width: 2, min: 1, max: 10 }),
      'forward',
      '5',
      /not one of/,
    ],
    ['the 31st of February', seoul, 'forward', '20240231000000', /not a time/],
    ['hour 24', seoul, 'forward', '20240201240000', /not a time/],
    ['a zero date where none is declared', seoul, 'forward', '00000000000000', /not a time/],
    ['a time that New York skipped', newYork, 'forward', '20240310023000', /skipped/],
    ['the second time that New York repeated', newYork, 'back', '2024-11-03 06:30:00', /repeated/],
    ['a time that Seoul skipped in 1988', seoul, 'forward', '19880508023000', /skipped/],
    ['a decimal that is too large', money, 'forward', '1000.00', /DECIMAL\(5,2\)/],
    ['a decimal with other places', money, 'forward', '1.0', /DECIMAL\(5,2\)/],
    ['units beyond the column', money, 'back', '100000', /decimal digits/],
    [
      'a list item with a comma',
      codecs.commaList({ itemLengthMax: 5, itemsMax: 2, repertoire: ascii }),
      'back',
      ['a,b'],
      /comma/,
    ],
    [
      'a list with an empty item',
      codecs.commaList({ itemLengthMax: 5, itemsMax: 3, repertoire: ascii }),
      'forward',
      'a,,b',
      /comma list/,
    ],
    ['a text too long as euckr', text, 'back', '😀😀', /longer than 10 characters as euckr/],
    ['a reference that would come back as a character', text, 'back', '&#128512;', /reference/],
    ['a lone surrogate', text, 'back', '\ud800', /U\+D800/],
    [
      'a padded text that is short',
      codecs.trimmedChar({ width: 3, repertoire: ascii }),
      'forward',
      'ab',
      /shorter/,
    ],
  ] as const)('%s', (_, codec, direction, value, reason) => {
    refuses(codec, direction, value, reason);
    try {
      codec[direction](value);
    } catch (error) {
      if (typeof value === 'string' && value.length > 5) expect(String(error)).not.toContain(value);
    }
  });
});

test('a code table with two codes for one word is refused when it is declared', () => {
  expect(() => codecs.codeTable({ a: 1, b: 1 })).toThrow(/no way back/);
});

test('values that people meet', () => {
  const seoul = codecs.legacyTimestamp('Asia/Seoul');
  expect(seoul.forward('20231101093000')).toBe('2023-11-01 00:30:00');
  expect(codecs.zeroDate(seoul, '00000000000000').forward('00000000000000')).toBeNull();
  expect(codecs.decimalToMinorUnits({ precision: 12, scale: 2 }).forward('-0.05')).toBe('-5');
  expect(codecs.decimalToMinorUnits({ precision: 12, scale: 2 }).back('-5')).toBe('-0.05');
  const text = codecs.euckrText({ lengthMax: 2000 });
  expect(text.forward('좋아요 &#128512; &#65; 뷁 &#x1F600;')).toBe('좋아요 😀 &#65; 뷁 &#x1F600;');
  expect(text.back('좋아요 😀 &#65;')).toBe('좋아요 &#128512; &#65;');
});
