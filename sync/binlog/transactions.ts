// From events to changes: where transactions begin and end, which rows count, and the position after each.

import type { Point, Position } from '../position.ts';
import type { Change } from './change.ts';
import { Cursor } from './cursor.ts';
import { BinlogError, corrupt } from './errors.ts';
import { artificialFlag, type BinlogEvent, eventType, type Format } from './event.ts';
import type { Group } from './group.ts';
import { readGtidSet, readMariadbGtid, readMysqlGtid, readTaggedGtid } from './gtid.ts';
import type { MariadbGtid } from './gtid-sets.ts';
import { type Held, holdEvents } from './held.ts';
import { passOver } from './other-events.ts';
import { type Gtid, Place, printGtid } from './place.ts';
import { classifyStatement, readQuery } from './query.ts';
import { RowsEvent, readRowsHead, statementEndFlag } from './rows.ts';
import { traceIn } from './statement-trace.ts';
import type { Collations } from './table-map.ts';
import type { Tables } from './tables.ts';

export type TransactionsOptions = {
  readonly from: Position;
  readonly dialect: 'mariadb' | 'mysql';
  readonly tables: Tables;
  readonly collations: Collations;
  /** Rows of a prepared XA transaction beyond this go to a file. */
  readonly heldBytesMax: number;
  /** Whether annotations are looked at. */
  readonly traces?: boolean;
  /** The bytes come from a file, not from a server that has decrypted them. */
  readonly isFile: boolean;
};

const dummyTableId = 0xff_ffff;

/** `XA COMMIT X'61',X'',1 ONE PHASE` → the part that names the transaction. */
const xaPattern = /^XA (START|BEGIN|END|COMMIT|ROLLBACK) (X'[0-9a-f]*',X'[0-9a-f]*',\d+)/i;

const none: readonly Change[] = [];

export class Transactions {
  /** Where a reader may start again: after the last transaction that ended. */
  position: Position;
  readonly #options: TransactionsOptions;
  readonly #place: Place;
  /** Prepared XA transactions by name, in the order of their XA PREPARE. */
  readonly #prepared = new Map<string, Held>();
  #group: Group | undefined;
  /** Held rows that the last event set free. */
  #released: Held | undefined;

  constructor(options: TransactionsOptions) {
    this.#options = options;
    this.#place = new Place(options.from, options.dialect);
    this.position = options.from;
  }

  /** True when the consumer has been given a `begin` without its end. */
  get isOpen(): boolean {
    return this.#group?.hasBegun ?? false;
  }

  /** Forgets what came of the transaction that was cut off; the connection begins again at `position`. */
  async abandon(): Promise<readonly Change[]> {
    const wasOpen = this.isOpen;
    await this.#group?.held?.drop();
    this.#group = undefined;
    this.#released = undefined;
    this.#options.tables.forget();
    return wasOpen ? [{ kind: 'abandon' }] : none;
  }

  /** Gives up whatever is held. */
  async close(): Promise<void> {
    await this.abandon();
    for (const held of this.#prepared.values()) await held.drop();
    this.#prepared.clear();
  }

  /**
   * The changes of one event, which has no checksum and no compression any more. Row events come back through
   * `released` when they were held.
   */
  take(event: BinlogEvent, format: Format): readonly Change[] | Promise<readonly Change[]> {
    const { type } = event;
    if (type !== eventType.rotate) this.#place.pass(event);
    if (this.#group?.held && isHeldType(type)) return this.#hold(this.#group.held, event);
    if (isRows(type)) return this.#rows(event, format);
    switch (type) {
      case eventType.tableMap:
        return this.#options.tables.take(event, format)?.then(() => none) ?? none;
      case eventType.mariadbGtid:
      case eventType.gtid:
      case eventType.gtidTagged:
      case eventType.anonymousGtid:
        return this.#begin(event);
      case eventType.query:
      case eventType.executeLoadQuery:
        return this.#query(event);
      case eventType.xid:
        return this.#end('commit');
      case eventType.xaPrepare:
        return this.#prepare(event);
      case eventType.rotate:
        return this.#rotate(event);
      case eventType.heartbeat:
      case eventType.heartbeatV2:
        return this.#group ? none : [{ kind: 'heartbeat', position: this.position }];
      case eventType.previousGtids:
        this.#place.previous(readGtidSet(event.body));
        return none;
      case eventType.formatDescription:
        // Table ids start again with the server.
        if ((event.flags & artificialFlag) === 0) this.#options.tables.forget();
        return none;
      case eventType.annotateRows:
        if (this.#options.traces) this.#annotate(event.body);
        return none;
      case eventType.rowsQuery:
        // A byte for a length comes first that says nothing.
        if (this.#options.traces) this.#annotate(event.body.subarray(1));
        return none;
      default:
        passOver(event, this.#options.isFile);
        return none;
    }
  }

  /** After each `take`: rows held until now, and then the end of their transaction. */
  async *released(format: Format): AsyncGenerator<Change> {
    const held = this.#released;
    if (!held) return;
    this.#released = undefined;
    for await (const event of held.events()) {
      if (event.type === eventType.tableMap) await this.#options.tables.take(event, format);
      else if (isRows(event.type)) yield* this.#rows(event, format);
      else yield* await this.#query(event);
    }
    await held.drop();
    yield* this.#end('commit');
  }

  get hasReleased(): boolean {
    return this.#released !== undefined;
  }

  #begin(event: BinlogEvent): readonly Change[] {
    if (this.#group) throw corrupt(`a transaction begins inside ${this.#describe()}`);
    const startedAt = this.position;
    let gtid: Gtid | undefined;
    let isStandalone = false;
    let isSilent = false;
    let xid: string | undefined;
    if (event.type === eventType.mariadbGtid) {
      const read = readMariadbGtid(event.body);
      const named: MariadbGtid = { ...read.gtid, server: event.serverId };
      gtid = { dialect: 'mariadb', gtid: named };
      isStandalone = read.isStandalone;
      isSilent = read.alter === 'start' || read.alter === 'rollback';
      xid = read.preparedXid;
    } else if (event.type !== eventType.anonymousGtid) {
      const read = event.type === eventType.gtid ? readMysqlGtid(event.body) : readTaggedGtid(event.body);
      gtid = { dialect: 'mysql', gtid: read };
      isStandalone = true;
    } else isStandalone = true;
    const group = this.#open(event, gtid, isStandalone, isSilent, startedAt);
    if (xid !== undefined) this.#startXa(group, xid);
    return none;
  }

  #open(
    event: BinlogEvent,
    gtid: Gtid | undefined,
    isStandalone: boolean,
    isSilent: boolean,
    startedAt: Point,
  ): Group {
    this.#group = {
      gtid,
      startedAt,
      timestamp: event.timestamp,
      serverId: event.serverId,
      isStandalone,
      isSilent,
      isDone: this.#place.isDone(gtid, this.#place.point),
      hasBegun: false,
      xid: undefined,
      held: undefined,
      trace: undefined,
    };
    return this.#group;
  }

  #describe(): string {
    const gtid = this.#group?.gtid;
    return gtid ? `transaction ${printGtid(gtid)}` : 'a transaction without a GTID';
  }

  /** Servers from before GTIDs begin a transaction by the statement alone. */
  #current(event: BinlogEvent): Group {
    return this.#group ?? this.#open(event, undefined, true, false, this.position);
  }

  #beginChange(group: Group): readonly Change[] {
    if (group.hasBegun || group.isDone) return none;
    group.hasBegun = true;
    const gtid = group.gtid && printGtid(group.gtid);
    const { timestamp, serverId } = group;
    return [{ kind: 'begin', gtid, position: this.position, timestamp, serverId }];
  }

  #rows(event: BinlogEvent, format: Format): readonly Change[] {
    const head = readRowsHead(event.type, event.body, format);
    const group = this.#current(event);
    const isMarker = head.tableId === dummyTableId && (head.flags & statementEndFlag) !== 0;
    if (isMarker || group.isDone) return none;
    const known = this.#options.tables.get(head.tableId);
    if (!known) throw corrupt(`rows of table ${head.tableId}, which has no table map`);
    if (!known.reader) return none;
    const change = new RowsEvent(head, known.reader, event.timestamp);
    return group.hasBegun ? [change] : [...this.#beginChange(group), change];
  }

  /** The first of a transaction's statements that says so says it for all of them. */
  #annotate(statement: Buffer): void {
    const group = this.#group;
    if (group && !group.isDone) group.trace ??= traceIn(statement);
  }

  async #hold(held: Held, event: BinlogEvent): Promise<readonly Change[]> {
    await held.add(event);
    return none;
  }

  #query(event: BinlogEvent): readonly Change[] | Promise<readonly Change[]> {
    const { schema, sql, errorCode } = readQuery(event.type, event.body, this.#options.collations);
    const group = this.#current(event);
    if (sql === 'BEGIN') {
      group.isStandalone = false;
      return none;
    }
    if (sql === 'COMMIT') return this.#end('commit');
    if (sql === 'ROLLBACK') return this.#end('rollback');
    const [, verb, xid] = xaPattern.exec(sql) ?? [];
    if (verb && xid) return this.#xa(verb.toUpperCase(), xid.toLowerCase(), group);
    if (group.held) return this.#hold(group.held, event);
    const kind = classifyStatement(sql);
    // The columns of tables may be others from here on.
    if (kind === 'ddl') this.#options.tables.forget();
    const changes: Change[] = [];
    if (!group.isSilent && !group.isDone) {
      changes.push(...this.#beginChange(group));
      changes.push({ kind: 'statement', class: kind, sql, schema, timestamp: event.timestamp, errorCode });
    }
    if (group.isStandalone) changes.push(...this.#end('commit'));
    return changes;
  }

  #xa(verb: string, xid: string, group: Group): readonly Change[] | Promise<readonly Change[]> {
    if (verb === 'START' || verb === 'BEGIN') {
      this.#startXa(group, xid);
      return none;
    }
    if (verb === 'END') return none;
    const held = this.#prepared.get(xid);
    this.#prepared.delete(xid);
    if (verb === 'ROLLBACK' || group.isDone) {
      const dropped = held?.drop() ?? Promise.resolve();
      return dropped.then(() => this.#end('commit'));
    }
    if (!held)
      throw new BinlogError(
        'xa-unknown',
        `XA COMMIT ${xid}, whose XA PREPARE was before this stream's start: its rows are not known`,
        'start the stream while `XA RECOVER` is empty: make a new copy of the tables',
      );
    group.isStandalone = false;
    this.#released = held;
    return none;
  }

  #startXa(group: Group, xid: string): void {
    group.isStandalone = false;
    group.xid = xid;
    // One that is met while the reader goes over a stretch again may be of the stretch's very start.
    const { from, heldBytesMax } = this.#options;
    const { gtid, at } = (group.isDone && from.restart) || group.startedAt;
    group.held = holdEvents({ gtid, at }, heldBytesMax);
  }

  #prepare(event: BinlogEvent): readonly Change[] | Promise<readonly Change[]> {
    const group = this.#group;
    if (!group?.held || group.xid === undefined) throw corrupt('an XA PREPARE without its XA START');
    const isOnePhase = new Cursor(event.body).u8() !== 0;
    const { held, xid } = group;
    group.held = undefined;
    if (isOnePhase) {
      if (group.isDone) return held.drop().then(() => this.#end('commit'));
      this.#released = held;
      return none;
    }
    this.#prepared.set(xid, held);
    return this.#end('commit');
  }

  #end(kind: 'commit' | 'rollback'): readonly Change[] {
    const group = this.#group;
    if (!group) throw corrupt(`a ${kind} without a transaction`);
    // What is held belongs to an XA transaction, which ends by XA PREPARE and in no other way.
    if (group.held) throw corrupt(`a ${kind} inside an XA transaction`);
    const begin = this.#beginChange(group);
    this.#group = undefined;
    if (group.isDone) return none;
    this.#place.end(group.gtid);
    this.#moveTo(this.#place.point);
    return kind === 'commit' && group.trace
      ? [...begin, { kind, position: this.position, trace: group.trace }]
      : [...begin, { kind, position: this.position }];
  }

  #moveTo(point: Point): void {
    const [first] = this.#prepared.values();
    this.position = first ? { ...point, restart: first.startedAt } : point;
  }

  async #rotate(event: BinlogEvent): Promise<readonly Change[]> {
    const isMadeUp = event.timestamp === 0 || (event.flags & artificialFlag) !== 0;
    // A server that crashed in the middle of writing a transaction never finishes it in the next file.
    const abandoned = isMadeUp && !this.#options.isFile ? none : await this.abandon();
    const isNew = this.#place.rotate(event.body);
    const { at } = this.#place.point;
    if (!isNew || !at) return abandoned;
    if (!this.#place.isDone(undefined, this.#place.point)) this.#moveTo({ gtid: this.position.gtid, at });
    return [...abandoned, { kind: 'rotate', file: at.file }];
  }
}

function isRows(type: number): boolean {
  return (
    (type >= eventType.writeRowsV1 && type <= eventType.deleteRowsV1) ||
    (type >= eventType.writeRows && type <= eventType.deleteRows)
  );
}

/** What a prepared XA transaction consists of; its own statements are not held. */
function isHeldType(type: number): boolean {
  return isRows(type) || type === eventType.tableMap;
}
