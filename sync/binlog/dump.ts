// COM_BINLOG_DUMP on a mysql2 connection: the packets as raw events, in a queue whose bytes are bounded. A full
// queue pauses the socket; the server then waits (its net_write_timeout was set for that, see session.ts).
import type { Connection } from 'mysql2';
import { unlessClosed } from '../driver-socket.ts';
import type { FileOffset } from '../position.ts';
import { BinlogError } from './errors.ts';
import { type Dump, EventQueue, type ServerError } from './event-queue.ts';
import { writeGtidSet } from './gtid.ts';
import { MysqlGtidSet } from './gtid-sets.ts';

export type DumpStart =
  /** MariaDB's GTIDs are told in a session variable before. */
  | { readonly by: 'session' }
  | { readonly by: 'file'; readonly at: FileOffset }
  | { readonly by: 'gtid-set'; readonly set: string };

const command = { dump: 0x12, registerReplica: 0x15, dumpGtid: 0x1e };
const firstOffset = 4;
/** What a dump by file, and BINLOG_GTID_POS, can name. */
export const offsetMax = 0xffff_ffff;
/** The flag of COM_BINLOG_DUMP_GTID that MySQL's own replicas set. */
const throughGtid = 0x04;
/** MariaDB's: rows come with the statement that made them, where the server has logged it. */
const withAnnotations = 0x02;

function dumpFromFile(serverId: number, file: string, offset: number, flags: number): Buffer {
  if (offset > offsetMax)
    throw new BinlogError(
      'position-invalid',
      `offset ${offset} of ${file} is beyond what the protocol can ask for by file`,
      'resume by GTID',
    );
  const name = Buffer.from(file);
  const bytes = Buffer.alloc(11);
  bytes[0] = command.dump;
  bytes.writeUInt32LE(offset, 1);
  bytes.writeUInt16LE(flags, 5);
  bytes.writeUInt32LE(serverId, 7);
  return Buffer.concat([bytes, name]);
}

function dumpFromGtidSet(serverId: number, set: string): Buffer {
  const encoded = writeGtidSet(MysqlGtidSet.parse(set));
  const bytes = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4);
  bytes[0] = command.dumpGtid;
  bytes.writeUInt16LE(throughGtid, 1);
  bytes.writeUInt32LE(serverId, 3);
  bytes.writeBigUInt64LE(BigInt(firstOffset), 11);
  bytes.writeUInt32LE(encoded.length, 19);
  return Buffer.concat([bytes, encoded]);
}

/** Host, user, password and port stay empty: SHOW REPLICAS is to show the id, and there is nothing to connect to. */
function registration(serverId: number): Buffer {
  const bytes = Buffer.alloc(1 + 4 + 1 + 1 + 1 + 2 + 4 + 4);
  bytes[0] = command.registerReplica;
  bytes.writeUInt32LE(serverId, 1);
  return bytes;
}

/** What mysql2 hands to a command; its Packet is not among its declared types. */
type Packet = { readonly buffer: Buffer; readonly start: number; readonly end: number };

/** The part of mysql2's connection that takes commands; not among its declared types either. */
type Wire = {
  addCommand(command: object): void;
  _resetSequenceId(): void;
  writePacket(packet: object): void;
};

function isWire(connection: unknown): connection is Wire {
  return (
    typeof connection === 'object' &&
    connection !== null &&
    ['addCommand', '_resetSequenceId', 'writePacket'].every(
      (name) => typeof Reflect.get(connection, name) === 'function',
    )
  );
}

/** A command's payload in the form that mysql2 writes: four bytes free in front, and two methods. */
function outgoing(payload: Buffer): object {
  const buffer = Buffer.concat([Buffer.alloc(4), payload]);
  return {
    buffer,
    length: () => buffer.length,
    writeHeader(sequenceId: number) {
      buffer.writeUIntLE(payload.length, 0, 3);
      buffer[3] = sequenceId;
    },
  };
}

const okMarker = 0x00;
const eofMarker = 0xfe;
const errorMarker = 0xff;

function serverError(payload: Buffer): ServerError {
  const text = payload.toString('utf8', 3);
  return { errno: payload.readUInt16LE(1), message: text.startsWith('#') ? text.slice(6) : text };
}

type Commands = {
  /** Answers the registration, or fails it. */
  readonly onRegistered: (error: ServerError | undefined) => void;
  readonly onLost: (cause: unknown) => void;
};

function registerCommand(serverId: number, { onRegistered, onLost }: Commands): object {
  let sent = false;
  return {
    execute(packet: Packet | undefined, wire: Wire): boolean {
      if (!sent) {
        sent = true;
        wire._resetSequenceId();
        wire.writePacket(outgoing(registration(serverId)));
        return false;
      }
      if (!packet) return false;
      const payload = packet.buffer.subarray(packet.start + 4, packet.end);
      onRegistered(payload[0] === errorMarker ? serverError(payload) : undefined);
      return true;
    },
    /** mysql2 calls this when the connection is lost. */
    onResult: onLost,
  };
}

function dumpCommand(payload: Buffer, queue: EventQueue): object {
  let sent = false;
  return {
    execute(packet: Packet | undefined, wire: Wire): boolean {
      if (!sent) {
        sent = true;
        wire._resetSequenceId();
        wire.writePacket(outgoing(payload));
        return false;
      }
      if (!packet) return false;
      const bytes = packet.buffer.subarray(packet.start + 4, packet.end);
      const marker = bytes[0];
      if (marker === okMarker) queue.push(bytes.subarray(1));
      else if (marker === errorMarker) queue.close({ by: 'server-error', error: serverError(bytes) });
      else if (marker === eofMarker) queue.close({ by: 'eof' });
      else queue.close({ by: 'connection', cause: new Error(`a packet that begins with ${marker}`) });
      return marker !== okMarker;
    },
    /** mysql2 calls this when the connection is lost. */
    onResult(cause: unknown): void {
      queue.close({ by: 'connection', cause });
    },
  };
}

/**
 * Registers as a replica and starts the dump. The connection is of no other use after it.
 * @throws the driver's error when the connection is lost before the server has answered
 * @param queueBytesMax the socket is paused when so many bytes are queued, resumed at half of them
 * @param annotations asks MariaDB for the statements of rows, too; MySQL sends them unasked
 */
export async function startDump(
  connection: Connection,
  serverId: number,
  start: DumpStart,
  queueBytesMax: number,
  annotations: boolean,
): Promise<Dump> {
  const wire: unknown = connection;
  if (!isWire(wire)) throw new Error('this version of mysql2 takes no commands of others');
  const flags = annotations ? withAnnotations : 0;
  const payload =
    start.by === 'gtid-set'
      ? dumpFromGtidSet(serverId, start.set)
      : start.by === 'file'
        ? dumpFromFile(serverId, start.at.file, start.at.offset, flags)
        : dumpFromFile(serverId, '', firstOffset, flags);
  const queue = new EventQueue(connection, queueBytesMax);
  connection.on('error', (cause) => queue.close({ by: 'connection', cause }));
  connection.on('end', () =>
    queue.close({ by: 'connection', cause: new Error('the server closed the connection') }),
  );
  const refused = await unlessClosed(
    connection,
    new Promise<ServerError | undefined>((resolve, reject) => {
      wire.addCommand(registerCommand(serverId, { onRegistered: resolve, onLost: reject }));
    }),
  );
  if (refused) queue.close({ by: 'server-error', error: refused });
  else wire.addCommand(dumpCommand(payload, queue));
  return queue;
}
