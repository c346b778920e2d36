// RFC 9110: which bytes of a photo to send, or that the client has it already.
import type { IncomingHttpHeaders } from 'node:http';
import type { Photo } from './photos.ts';

export type Sending =
  | { kind: 'whole' }
  | { kind: 'part'; start: number; end: number }
  | { kind: 'unsatisfiable' }
  | { kind: 'not modified' };

const opaque = (tag: string): string => tag.trim().replace(/^W\//, '');

/** Sections 13.1.2, 13.1.3: If-None-Match goes before If-Modified-Since. */
function isNotModified(headers: IncomingHttpHeaders, photo: Photo): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined)
    return tags.trim() === '*' || tags.split(',').some((tag) => opaque(tag) === photo.etag);
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return since >= photo.modified.getTime();
}

/** Section 13.1.5: the strong tag or the exact date; anything else means that the whole is wanted. */
function rangeStillHolds(ifRange: string | undefined, photo: Photo): boolean {
  return ifRange === undefined || ifRange === photo.etag || ifRange === photo.modified.toUTCString();
}

/** What to send. Several ranges, or what is no byte range, get the whole (section 14.2 permits it). */
export function whatToSend(headers: IncomingHttpHeaders, photo: Photo): Sending {
  if (isNotModified(headers, photo)) return { kind: 'not modified' };
  const ifRange = headers['if-range'];
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(headers.range ?? '') ?? [];
  if (first === undefined || last === undefined || first + last === '') return { kind: 'whole' };
  if (!rangeStillHolds(typeof ifRange === 'string' ? ifRange : undefined, photo)) return { kind: 'whole' };
  const lastByte = photo.size - 1;
  if (first === '') {
    const length = Math.min(Number(last), photo.size);
    return length === 0
      ? { kind: 'unsatisfiable' }
      : { kind: 'part', start: photo.size - length, end: lastByte };
  }
  const start = Number(first);
  const end = last === '' ? lastByte : Math.min(Number(last), lastByte);
  if (last !== '' && Number(last) < start) return { kind: 'whole' }; // no valid range at all
  return start > lastByte ? { kind: 'unsatisfiable' } : { kind: 'part', start, end };
}
