// A binlog file's events, as they lie there.
import { open } from 'node:fs/promises';
import { BinlogError, corrupt } from './errors.ts';
import { headerBytes } from './event.ts';
import type { EventSource } from './events.ts';

const magic = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const chunkBytes = 256 * 1024;

/**
 * Reads a file from its start to its present end.
 * @throws BinlogError for a file that is no binlog, is encrypted, or ends inside an event
 */
export async function openBinlogFile(path: string): Promise<EventSource & { close(): Promise<void> }> {
  const file = await open(path);
  const start = Buffer.alloc(magic.length);
  await file.read(start, 0, magic.length, 0);
  if (!start.equals(magic)) {
    await file.close();
    throw new BinlogError(
      'corrupt-event',
      `${path} does not begin as a binlog file does`,
      'an encrypted file is read through its server',
    );
  }
  let bytes: Buffer = Buffer.alloc(0);
  let at = 0;
  let fileAt = magic.length;
  return {
    take() {
      if (bytes.length - at < headerBytes) return undefined;
      const size = bytes.readUInt32LE(at + 9);
      if (size < headerBytes) throw corrupt(`an event of ${size} bytes at ${fileAt - (bytes.length - at)}`);
      if (bytes.length - at < size) return undefined;
      const event = bytes.subarray(at, at + size);
      at += size;
      return event;
    },
    async wait() {
      const rest = bytes.subarray(at);
      const wanted = rest.length >= headerBytes ? rest.readUInt32LE(9) - rest.length : 0;
      const next = Buffer.allocUnsafe(rest.length + Math.max(chunkBytes, Math.min(wanted, chunkBytes * 64)));
      rest.copy(next);
      const { bytesRead } = await file.read(next, rest.length, next.length - rest.length, fileAt);
      if (bytesRead === 0) {
        if (rest.length > 0) throw corrupt(`${rest.length} bytes of an event at the end of ${path}`);
        return false;
      }
      fileAt += bytesRead;
      bytes = next.subarray(0, rest.length + bytesRead);
      at = 0;
      return true;
    },
    close: () => file.close(),
  };
}
