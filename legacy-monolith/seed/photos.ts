// A few small pictures for the seed's reviews, so that a page of the demo shows photos and not holes.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

const count = 12;
const side = 96;

/** The names that the seed's reviews use: the same on every machine. */
export const photoNames: readonly string[] = Array.from(
  { length: count },
  (_, index) => `${createHash('md5').update(`photo ${index}`).digest('hex')}.png`,
);

/** A chunk of a PNG file (PNG specification, 5.3). */
function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** A slope from light to dark in the picture's own colour. */
function picture(index: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8); // eight bits each of red, green and blue
  const rows = Buffer.alloc(side * (1 + side * 3));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const light = 255 - Math.floor(((x + y) * 120) / (2 * side));
      const at = y * (1 + side * 3) + 1 + x * 3;
      for (let colour = 0; colour < 3; colour++)
        rows[at + colour] = Math.max(0, light - ((index * 67 + colour * 90) % 150));
    }
  }
  const signature = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const end = Buffer.alloc(0);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', end),
  ]);
}

/** Writes the pictures that are not there yet. */
export function writePhotos(uploads: string): void {
  mkdirSync(uploads, { recursive: true });
  for (const [index, name] of photoNames.entries()) {
    const path = join(uploads, name);
    if (!existsSync(path)) writeFileSync(path, picture(index));
  }
}
