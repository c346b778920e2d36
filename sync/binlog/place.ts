// Where the stream is: file and offset from the events' frames, GTIDs from the transactions that ended.

import { comparePositions, type Point, type Position } from '../position.ts';
import { Cursor } from './cursor.ts';
import { corrupt } from './errors.ts';
import { artificialFlag, type BinlogEvent } from './event.ts';
import { type MariadbGtid, MariadbGtidList, type MysqlGtid, MysqlGtidSet } from './gtid-sets.ts';

export type Gtid =
  | { readonly dialect: 'mariadb'; readonly gtid: MariadbGtid }
  | { readonly dialect: 'mysql'; readonly gtid: MysqlGtid };

export function printGtid({ dialect, gtid }: Gtid): string {
  if (dialect === 'mariadb') return `${gtid.domain}-${gtid.server}-${gtid.sequence}`;
  return `${gtid.uuid}:${gtid.tag === '' ? '' : `${gtid.tag}:`}${gtid.sequence}`;
}

const two32 = 0x1_0000_0000;
const firstOffset = 4;

export class Place {
  #file: string | undefined;
  #offset = firstOffset;
  #mariadb: MariadbGtidList | undefined;
  #mysql: MysqlGtidSet | undefined;
  /** What the consumer has already: set only while a reader goes over a stretch again. */
  #done: Position | undefined;
  #isDone: ((gtid: Gtid) => boolean) | undefined;

  constructor(from: Position, dialect: 'mariadb' | 'mysql') {
    if (from.gtid !== undefined) {
      if (dialect === 'mariadb') this.#mariadb = MariadbGtidList.parse(from.gtid);
      else this.#mysql = MysqlGtidSet.parse(from.gtid);
    }
    if (from.restart) {
      this.#done = from;
      this.#isDone = this.#has.bind(this);
    }
    const at = (from.restart ?? from).at;
    this.#file = at?.file;
    this.#offset = at?.offset ?? firstOffset;
  }

  /** The point after the last event whose frame was seen; GTIDs count only once their transaction ended. */
  get point(): Point {
    const here = this.#file === undefined ? undefined : { file: this.#file, offset: this.#offset };
    return { gtid: (this.#mariadb ?? this.#mysql)?.toString(), at: here };
  }

  /** @returns true when another file begins */
  rotate(body: Buffer): boolean {
    const cursor = new Cursor(body);
    const offset = cursor.u64();
    const file = cursor.utf8(cursor.left);
    if (!/^[^\0/\\]+\.\d+$/.test(file)) throw corrupt('a rotate to a file with no such name');
    const isNew = file !== this.#file;
    this.#file = file;
    this.#offset = offset;
    return isNew;
  }

  /** Moves past an event. Frames have 32 bits of offset, files may be longer. */
  pass(event: BinlogEvent): void {
    if (event.endOffset === 0 || event.flags & artificialFlag) return;
    let offset = Math.floor(this.#offset / two32) * two32 + event.endOffset;
    if (offset < this.#offset && this.#offset - offset > two32 / 2) offset += two32;
    this.#offset = offset;
  }

  #has(gtid: Gtid): boolean {
    return gtid.dialect === 'mariadb'
      ? (this.#mariadb?.has(gtid.gtid) ?? false)
      : (this.#mysql?.has(gtid.gtid) ?? false);
  }

  /** True for a transaction that the position the reader was started with has already. */
  isDone(gtid: Gtid | undefined, startedAt: Point): boolean {
    if (!this.#done || !this.#isDone) return false;
    if (gtid && this.#done.gtid !== undefined) return this.#isDone(gtid);
    return (
      comparePositions({ gtid: undefined, at: startedAt.at }, { gtid: undefined, at: this.#done.at }) ===
      'before'
    );
  }

  /** A transaction has ended here. */
  end(gtid: Gtid | undefined): void {
    if (gtid?.dialect === 'mariadb') this.#mariadb?.add(gtid.gtid);
    else if (gtid?.dialect === 'mysql') this.#mysql?.add(gtid.gtid);
    // A transaction without a GTID is in no set of them: from here on only file and offset tell where this is.
    else this.#mysql = undefined;
  }

  /** MySQL says at each file's start what came before it. */
  previous(set: MysqlGtidSet): void {
    if (!this.#mariadb && !this.#mysql && set.entries().length > 0) this.#mysql = set;
  }
}
