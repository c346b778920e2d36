// The photos of reviews: files in one folder, under names that the shop makes. They never change.
import { randomBytes } from 'node:crypto';
import { open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';

const types = { jpg: 'image/jpeg', png: 'image/png', webp: 'image/webp' } as const;

export const photoBytesMax = 5 * 1024 * 1024;

/** What the bytes say they are; undefined for what is no photo, whatever its name claims. */
export function photoExtension(bytes: Buffer): keyof typeof types | undefined {
  if (bytes.subarray(0, 3).equals(Buffer.of(0xff, 0xd8, 0xff))) return 'jpg';
  if (bytes.subarray(0, 8).equals(Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))) return 'png';
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return 'webp';
  return undefined;
}

/** Stores a photo so that it is there in whole or not at all. @returns its name */
export async function storePhoto(
  folder: string,
  bytes: Buffer,
  extension: keyof typeof types,
): Promise<string> {
  const name = `${randomBytes(16).toString('hex')}.${extension}`;
  const unfinished = join(folder, `${name}.part`);
  const file = await open(unfinished, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, join(folder, name));
  return name;
}

export type Photo = {
  path: string;
  size: number;
  /** Whole seconds, as Last-Modified has them. */
  modified: Date;
  etag: string;
  contentType: string;
};

/** @returns undefined for a name that is no photo's, or is not there */
export async function findPhoto(folder: string, name: string): Promise<Photo | undefined> {
  const extension = /^[0-9a-f]{32}\.(jpg|png|webp)$/.exec(name)?.[1];
  if (extension !== 'jpg' && extension !== 'png' && extension !== 'webp') return undefined;
  const path = join(folder, name);
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined || !found.isFile()) return undefined;
  const seconds = Math.floor(found.mtimeMs / 1000);
  return {
    path,
    size: found.size,
    modified: new Date(seconds * 1000),
    etag: `"${seconds.toString(16)}-${found.size.toString(16)}"`,
    contentType: types[extension],
  };
}
