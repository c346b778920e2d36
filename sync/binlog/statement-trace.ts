// The trace that a statement belongs to, where the application has said it in a comment at the statement's end, as sqlcommenter does:
//   INSERT INTO … VALUES (…) /*traceparent='00-…-…-01'*/
// The statement is the binlog's annotation of its rows. It is full of what clients have written, so nothing but its very end is looked
// at: a text inside of it is followed by a quotation mark at least, and cannot stand there. It is not kept and not told to anybody.
import { parseTraceparent, type Traceparent } from '../../capability/trace-context.ts';

/** A longer comment is not the application's. */
const commentBytesMax = 1_024;
const entry = /(?:^|,)traceparent='([0-9a-f-]{55})'(?:,|$)/;

/** @param statement in whatever character set: all of them have ASCII in its place */
export function traceIn(statement: Buffer): Traceparent | undefined {
  const end = statement
    .subarray(Math.max(0, statement.length - commentBytesMax))
    .toString('latin1')
    .trimEnd();
  if (!end.endsWith('*/')) return undefined;
  const start = end.lastIndexOf('/*');
  if (start === -1) return undefined;
  return parseTraceparent(entry.exec(end.slice(start + 2, -2).trim())?.[1]);
}
