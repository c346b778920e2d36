// A place in a server's binlog, as a value: parsed, compared, printed. Three notations of the same thing:
// MariaDB's list of the last transaction per domain (`0-1-100,1-2-5`), MySQL's set of all transactions
// (`uuid:1-5:tag:1-3`), and the file with an offset, which holds for one server only.

export class PositionError extends Error {
  override name = 'PositionError';
}

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

// ---- MariaDB: the last transaction of each domain

export type MariadbGtid = { readonly domain: number; readonly server: number; readonly sequence: bigint };

const mariadbGtidPattern = /^(\d+)-(\d+)-(\d+)$/;

/** By domain. */
export class MariadbGtidList {
  readonly #last = new Map<number, MariadbGtid>();
  #printed: string | undefined;

  /** @throws PositionError */
  static parse(text: string): MariadbGtidList {
    const list = new MariadbGtidList();
    for (const part of text.split(',').map((each) => each.trim())) {
      if (part === '') continue;
      const [, domain, server, sequence] = mariadbGtidPattern.exec(part) ?? [];
      if (domain === undefined || server === undefined || sequence === undefined)
        throw new PositionError(`"${part}" is no GTID of MariaDB (domain-server-sequence)`);
      if (list.#last.has(Number(domain))) throw new PositionError(`domain ${domain} is in "${text}" twice`);
      list.add({ domain: Number(domain), server: Number(server), sequence: BigInt(sequence) });
    }
    return list;
  }

  add(gtid: MariadbGtid): void {
    this.#last.set(gtid.domain, gtid);
    this.#printed = undefined;
  }

  has(gtid: MariadbGtid): boolean {
    const last = this.#last.get(gtid.domain);
    return last !== undefined && gtid.sequence <= last.sequence;
  }

  /** True when every transaction of the other list is in this one too. */
  covers(other: MariadbGtidList): boolean {
    for (const gtid of other.#last.values()) {
      const own = this.#last.get(gtid.domain);
      if (!own || own.sequence < gtid.sequence) return false;
      // The same sequence number by two servers is two different transactions.
      if (own.sequence === gtid.sequence && own.server !== gtid.server) return false;
    }
    return true;
  }

  toString(): string {
    this.#printed ??= [...this.#last.values()]
      .sort((a, b) => a.domain - b.domain)
      .map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`)
      .join(',');
    return this.#printed;
  }
}

// ---- MySQL: all transactions, as intervals by source

/** First and last, both included. */
export type Interval = readonly [first: bigint, last: bigint];

export type MysqlGtid = {
  /** In lower case, with hyphens. */
  readonly uuid: string;
  /** Empty for none. */
  readonly tag: string;
  readonly sequence: bigint;
};

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const tagPattern = /^[a-z_][a-z0-9_]{0,31}$/;
const intervalPattern = /^(\d+)(?:-(\d+))?$/;

function merged(intervals: readonly Interval[]): Interval[] {
  const sorted = [...intervals].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  const out: [bigint, bigint][] = [];
  for (const [first, last] of sorted) {
    const previous = out.at(-1);
    if (previous && first <= previous[1] + 1n) {
      if (last > previous[1]) previous[1] = last;
    } else out.push([first, last]);
  }
  return out;
}

export class MysqlGtidSet {
  /** Sorted and apart, by `uuid` or `uuid:tag`. */
  readonly #intervals = new Map<string, Interval[]>();
  #printed: string | undefined;

  /** @throws PositionError */
  static parse(text: string): MysqlGtidSet {
    const set = new MysqlGtidSet();
    for (const part of text.split(',').map((each) => each.trim().toLowerCase())) {
      if (part === '') continue;
      const [uuid = '', ...rest] = part.split(':').map((each) => each.trim());
      if (!uuidPattern.test(uuid)) throw new PositionError(`"${part}" begins with no server UUID`);
      if (rest.length === 0) throw new PositionError(`"${part}" names no transactions`);
      let tag = '';
      for (const each of rest) {
        const [, first, last = first] = intervalPattern.exec(each) ?? [];
        if (first !== undefined && last !== undefined) {
          if (BigInt(first) < 1n || BigInt(last) < BigInt(first))
            throw new PositionError(`"${each}" in "${part}" is no interval`);
          set.addInterval(uuid, tag, [BigInt(first), BigInt(last)]);
        } else if (tagPattern.test(each)) tag = each;
        else throw new PositionError(`"${each}" in "${part}" is neither an interval nor a tag`);
      }
    }
    return set;
  }

  addInterval(uuid: string, tag: string, interval: Interval): void {
    const key = tag === '' ? uuid : `${uuid}:${tag}`;
    this.#printed = undefined;
    const intervals = this.#intervals.get(key);
    const last = intervals?.at(-1);
    // The next number of a source, which is nearly always what comes.
    if (intervals && last && interval[0] === last[1] + 1n) {
      intervals[intervals.length - 1] = [last[0], interval[1]];
      return;
    }
    this.#intervals.set(key, merged([...(intervals ?? []), interval]));
  }

  add({ uuid, tag, sequence }: MysqlGtid): void {
    this.addInterval(uuid, tag, [sequence, sequence]);
  }

  has({ uuid, tag, sequence }: MysqlGtid): boolean {
    const intervals = this.#intervals.get(tag === '' ? uuid : `${uuid}:${tag}`) ?? [];
    return intervals.some(([first, last]) => first <= sequence && sequence <= last);
  }

  covers(other: MysqlGtidSet): boolean {
    for (const [key, intervals] of other.#intervals) {
      const own = this.#intervals.get(key) ?? [];
      for (const [first, last] of intervals)
        if (!own.some((each) => each[0] <= first && last <= each[1])) return false;
    }
    return true;
  }

  /** `[uuid, tag, intervals]`, by uuid and then tag, none first: the order of the server's own encoding. */
  entries(): [uuid: string, tag: string, intervals: readonly Interval[]][] {
    return [...this.#intervals]
      .map(([key, intervals]): [string, string, readonly Interval[]] => {
        const [uuid = '', tag = ''] = key.split(':');
        return [uuid, tag, intervals];
      })
      .sort(([a, aTag], [b, bTag]) => (`${a}:${aTag}` < `${b}:${bTag}` ? -1 : 1));
  }

  /** As the server prints gtid_executed, on one line. */
  toString(): string {
    if (this.#printed !== undefined) return this.#printed;
    let text = '';
    let lastUuid = '';
    for (const [uuid, tag, intervals] of this.entries()) {
      const ranges = intervals
        .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
        .join(':');
      if (uuid !== lastUuid) text += `${text === '' ? '' : ','}${uuid}`;
      text += tag === '' ? `:${ranges}` : `:${tag}:${ranges}`;
      lastUuid = uuid;
    }
    this.#printed = text;
    return text;
  }
}

// ---- whole positions

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
