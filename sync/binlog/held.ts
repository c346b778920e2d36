// Rows of prepared XA transactions, kept until their XA COMMIT or XA ROLLBACK. They may be many: past a bound
// they go to a file of their own.
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Point } from '../position.ts';
import { cutEvents } from './decompress.ts';
import { type BinlogEvent, headerBytes } from './event.ts';

export type Held = {
  /** Where its XA START is: a reader that has to see it again starts here. */
  readonly startedAt: Point;
  add(event: BinlogEvent): Promise<void>;
  /** All of it, from the start. */
  events(): AsyncGenerator<BinlogEvent>;
  drop(): Promise<void>;
};

function framed(event: BinlogEvent): Buffer {
  const bytes = Buffer.alloc(headerBytes + event.body.length);
  bytes.writeUInt32LE(event.timestamp, 0);
  bytes[4] = event.type;
  bytes.writeUInt32LE(event.serverId, 5);
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt32LE(event.endOffset, 13);
  bytes.writeUInt16LE(event.flags, 17);
  event.body.copy(bytes, headerBytes);
  return bytes;
}

/** @param memoryBytesMax what is kept in memory; the rest goes to a file in the system's folder for such */
export function holdEvents(startedAt: Point, memoryBytesMax: number): Held {
  let inMemory: Buffer[] = [];
  let memoryBytes = 0;
  let spill: { readonly folder: string; readonly file: FileHandle; readonly path: string } | undefined;

  const spillAll = async () => {
    if (!spill) {
      const folder = await mkdtemp(join(tmpdir(), 'banyan-xa-'));
      const path = join(folder, 'events');
      spill = { folder, path, file: await open(path, 'wx', 0o600) };
    }
    await spill.file.appendFile(Buffer.concat(inMemory));
    inMemory = [];
    memoryBytes = 0;
  };

  return {
    startedAt,
    async add(event) {
      const bytes = framed(event);
      inMemory.push(bytes);
      memoryBytes += bytes.length;
      if (memoryBytes > memoryBytesMax) await spillAll();
    },
    async *events() {
      const tail = inMemory;
      const path = spill?.path;
      yield* cutEvents(
        (async function* () {
          if (path !== undefined) yield* createReadStream(path);
          yield* tail;
        })(),
      );
    },
    async drop() {
      inMemory = [];
      if (!spill) return;
      await spill.file.close();
      await rm(spill.folder, { recursive: true, force: true });
      spill = undefined;
    },
  };
}
