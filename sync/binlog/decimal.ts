// DECIMAL as the server packs it: groups of nine digits in four bytes, a shorter group at each outer end, all
// bits turned round when negative, and the first bit turned round always.
import type { Cursor } from './cursor.ts';
import { corrupt } from './errors.ts';

const digitsPerGroup = 9;
const bytesOfDigits = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

const outerBytes = (digits: number) => bytesOfDigits[digits % digitsPerGroup] ?? 0;
const innerGroups = (digits: number) => Math.floor(digits / digitsPerGroup);

export const decimalBytes = (precision: number, scale: number) =>
  innerGroups(precision - scale) * 4 +
  outerBytes(precision - scale) +
  innerGroups(scale) * 4 +
  outerBytes(scale);

function group(buffer: Buffer, at: number, bytes: number, flip: number, top: number): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) {
    let byte = (buffer[at + i] ?? 0) ^ flip;
    if (at + i === top) byte ^= 0x80;
    value = value * 256 + byte;
  }
  return value;
}

const padded = (value: number, digits: number) => String(value).padStart(digits, '0');

/**
 * A reader of one DECIMAL column. Its texts are what SELECT prints: no leading zero but one before the point,
 * all digits of the scale.
 */
export function decimalReader(precision: number, scale: number): (cursor: Cursor) => string {
  if (precision < 1 || precision > 65 || scale > precision || scale > 38)
    throw corrupt(`a DECIMAL(${precision},${scale})`);
  const whole = precision - scale;
  const bytes = decimalBytes(precision, scale);
  const headBytes = outerBytes(whole);
  const wholeGroups = innerGroups(whole);
  const fractionGroups = innerGroups(scale);
  const tailDigits = scale % digitsPerGroup;
  const tailBytes = outerBytes(scale);
  return (cursor) => {
    const top = cursor.take(bytes);
    const { buffer } = cursor;
    const negative = ((buffer[top] ?? 0) & 0x80) === 0;
    const flip = negative ? 0xff : 0;
    let at = top;
    let number = group(buffer, at, headBytes, flip, top);
    at += headBytes;
    let text = number === 0 ? '' : String(number);
    for (let i = 0; i < wholeGroups; i++, at += 4) {
      number = group(buffer, at, 4, flip, top);
      if (text !== '') text += padded(number, digitsPerGroup);
      else if (number !== 0) text = String(number);
    }
    if (text === '') text = '0';
    if (scale > 0) {
      text += '.';
      for (let i = 0; i < fractionGroups; i++, at += 4)
        text += padded(group(buffer, at, 4, flip, top), digitsPerGroup);
      if (tailBytes > 0) text += padded(group(buffer, at, tailBytes, flip, top), tailDigits);
    }
    return negative ? `-${text}` : text;
  };
}
