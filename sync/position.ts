// A place in a server's binlog, as a value: parsed, compared, printed. Three notations of the same thing:
// MariaDB's list of the last transaction per domain (`0-1-100,1-2-5`), MySQL's set of all transactions
// (`uuid:1-5:tag:1-3`), and the file with an offset, which holds for one server only.

import { MariadbGtidList, MysqlGtidSet, PositionError } from './binlog/gtid-sets.ts';

export type FileOffset = {
  readonly file: string;
  /** Bytes from the file's start. */
  readonly offset: number;
};

/** Where events stop being known: after them nothing is. */
export type Point = {
  /** MariaDB's list or MySQL's set, as printed by the functions here; undefined when it is not known. */
  readonly gtid: string | undefined;
  readonly at: FileOffset | undefined;
};

export type Position = Point & {
  /**
   * Set while an XA transaction is prepared and not yet decided: a reader that starts at this position reads
   * from here on, and passes over what the position already has.
   */
  readonly restart?: Point;
};

/** How one position lies to another; `unordered` when neither has seen all that the other has. */
export type Order = 'equal' | 'before' | 'after' | 'unordered';

const isMysqlNotation = (gtid: string) => gtid.includes(':');

function orderOf(aCoversB: boolean, bCoversA: boolean): Order {
  if (aCoversB && bCoversA) return 'equal';
  if (aCoversB) return 'after';
  return bCoversA ? 'before' : 'unordered';
}

function compareGtids(a: string, b: string): Order {
  if (a === b) return 'equal';
  if (a === '') return 'before';
  if (b === '') return 'after';
  if (isMysqlNotation(a) !== isMysqlNotation(b)) return 'unordered';
  if (isMysqlNotation(a)) {
    const [left, right] = [MysqlGtidSet.parse(a), MysqlGtidSet.parse(b)];
    return orderOf(left.covers(right), right.covers(left));
  }
  const [left, right] = [MariadbGtidList.parse(a), MariadbGtidList.parse(b)];
  return orderOf(left.covers(right), right.covers(left));
}

/** `binlog.000012` is file 12 of `binlog`; numbers grow past six digits. */
function splitFile(file: string): { base: string; number: number } {
  const [, base = file, number = '0'] = /^(.*)\.(\d+)$/.exec(file) ?? [];
  return { base, number: Number(number) };
}

export function compareFileOffsets(a: FileOffset, b: FileOffset): Order {
  const [left, right] = [splitFile(a.file), splitFile(b.file)];
  if (left.base !== right.base) return 'unordered';
  const difference = left.number - right.number || a.offset - b.offset;
  return difference === 0 ? 'equal' : difference < 0 ? 'before' : 'after';
}

/** By GTID where both have one, else by file and offset, which are comparable on one server only. */
export function comparePositions(a: Point, b: Point): Order {
  if (a.gtid !== undefined && b.gtid !== undefined) return compareGtids(a.gtid, b.gtid);
  if (a.at && b.at) return compareFileOffsets(a.at, b.at);
  return 'unordered';
}

function printPoint({ gtid, at }: Point): string {
  return `${gtid ?? '?'}${at ? `@${at.file}:${at.offset}` : ''}`;
}

/** `0-1-100@binlog.000003:1234`, with `;restart=…` where there is one; `?` for a GTID that is not known. */
export function printPosition(position: Position): string {
  return printPoint(position) + (position.restart ? `;restart=${printPoint(position.restart)}` : '');
}

function parsePoint(text: string): Point {
  const [, gtidText = '', file, offset] = /^([^@;]*)(?:@([^:@;/]+):(\d+))?$/.exec(text.trim()) ?? [];
  if (text.trim() !== '' && gtidText === '' && file === undefined)
    throw new PositionError(`"${text}" is no position (GTID@FILE:OFFSET)`);
  const at = file === undefined ? undefined : { file, offset: Number(offset) };
  if (at && (!Number.isSafeInteger(at.offset) || at.offset < 4))
    throw new PositionError(`"${text}" has an offset before a binlog's first event (4)`);
  if (gtidText === '?') {
    if (!at) throw new PositionError(`"${text}" has neither a GTID nor a file`);
    return { gtid: undefined, at };
  }
  const gtid = isMysqlNotation(gtidText) ? MysqlGtidSet.parse(gtidText) : MariadbGtidList.parse(gtidText);
  return { gtid: gtid.toString(), at };
}

/**
 * Reads what printPosition printed; a GTID alone (`0-1-100`), or `?@file:offset`, too. The empty text is the
 * beginning of everything.
 * @throws PositionError
 */
export function parsePosition(text: string): Position {
  const [main = '', ...rest] = text.split(';restart=');
  if (rest.length > 1) throw new PositionError(`"${text}" has two restarts`);
  const point = parsePoint(main);
  return rest[0] === undefined ? point : { ...point, restart: parsePoint(rest[0]) };
}
