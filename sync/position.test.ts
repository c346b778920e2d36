import { expect, test } from 'vitest';
import { MariadbGtidList, MysqlGtidSet, PositionError } from './binlog/gtid-sets.ts';
import { comparePositions, parsePosition, printPosition } from './position.ts';

const a = '14a205bb-e53e-11f1-9c4e-02fc00000001';
const b = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

test.each([
  '0-1-100',
  '0-1-100,1-2-5@binlog.000003:1234',
  `${a}:1-5:7-9`,
  `${a}:1-5:mytag:1:other_tag:1-2,${b}:1@bin-log.1000000:4`,
  '@binlog.000001:4',
  '?@binlog.000001:4',
  '',
  '0-1-9@f.000002:99;restart=0-1-3@f.000001:44',
  `?@f.000002:99;restart=?@f.000001:44`,
])('"%s" is printed as it was read', (text) => {
  expect(printPosition(parsePosition(text))).toBe(text);
});

test.each([
  'x',
  '0-1',
  '0-1-2,0-2-3',
  `${a}`,
  `${a}:0-3`,
  `${a}:5-3`,
  `${a}:UPPER CASE:1`,
  '?',
  '0-1-2@file',
  '0-1-2@f.1:3',
  '0-1-2;restart=;restart=',
])('"%s" is refused', (text) => {
  expect(() => parsePosition(text)).toThrow(PositionError);
});

test.each([
  ['0-1-5', '0-1-5', 'equal'],
  ['0-1-5', '0-1-6', 'before'],
  ['0-2-7', '0-1-6', 'after'],
  ['0-1-6', '0-2-6', 'unordered'],
  ['0-1-5,1-1-2', '0-1-5', 'after'],
  ['0-1-5,1-1-2', '0-1-6', 'unordered'],
  ['', '0-1-1', 'before'],
  [`${a}:1-5`, `${a}:1-5:7`, 'before'],
  [`${a}:1-5:tag:1-3`, `${a}:1-5`, 'after'],
  [`${a}:1-5`, `${b}:1`, 'unordered'],
  [`${a}:1-3:4-5`, `${a.toUpperCase()}:1-5`, 'equal'],
  ['?@f.000009:500', '?@f.000010:4', 'before'],
  ['?@f.999999:500', '?@f.1000000:4', 'before'],
  ['?@f.000001:500', '?@g.000001:500', 'unordered'],
  ['0-1-5@f.000001:900', '0-1-6@f.000001:100', 'before'],
  ['0-1-5@f.000001:900', '?@f.000001:100', 'after'],
  ['0-1-5', `${a}:1`, 'unordered'],
])('%s against %s: %s', (left, right, order) => {
  expect(comparePositions(parsePosition(left), parsePosition(right))).toBe(order);
});

test('numbers beyond 2^53 stay exact', () => {
  expect(MariadbGtidList.parse('0-1-18446744073709551615').toString()).toBe('0-1-18446744073709551615');
  expect(MysqlGtidSet.parse(`${a}:1-9223372036854775806`).toString()).toBe(`${a}:1-9223372036854775806`);
});

test('transactions that come out of order close their gaps', () => {
  const set = MysqlGtidSet.parse(`${a}:1-3`);
  for (const sequence of [5n, 7n, 4n, 6n, 8n]) set.add({ uuid: a, tag: '', sequence });
  expect(set.toString()).toBe(`${a}:1-8`);
});
