// A run of raw events as changes.
import type { Change } from './change.ts';
import { unpackMariadb, unpackPayload } from './decompress.ts';
import { asCorrupt, corrupt } from './errors.ts';
import { type BinlogEvent, eventType, type Format, nameOfType, Unframer } from './event.ts';
import type { Transactions } from './transactions.ts';

/** Raw events, pulled: `take` gives what is there, `wait` waits for more and is false at the end. */
export type EventSource = {
  take(): Buffer | undefined;
  wait(): Promise<boolean>;
};

async function* changesOf(
  event: BinlogEvent,
  format: Format,
  transactions: Transactions,
): AsyncGenerator<Change> {
  const changes = transactions.take(unpackMariadb(event, format), format);
  yield* changes instanceof Promise ? await changes : changes;
  if (transactions.hasReleased) yield* transactions.released(format);
}

/**
 * All changes of the source's events, in order, until it ends.
 * @throws BinlogError
 */
export async function* readChanges(source: EventSource, transactions: Transactions): AsyncGenerator<Change> {
  const unframer = new Unframer();
  try {
    for (;;) {
      const raw = source.take();
      if (!raw) {
        if (await source.wait()) continue;
        return;
      }
      const event = unframer.unframe(raw);
      const { format } = unframer;
      if (!format) {
        if (event.type !== eventType.rotate)
          throw corrupt(`${nameOfType(event.type)} before any format description`);
        yield* await transactions.take(event, noFormat);
        continue;
      }
      if (event.type === eventType.transactionPayload)
        for await (const inner of unpackPayload(event)) yield* changesOf(inner, format, transactions);
      // The plain case once more, without a generator of its own for each event.
      else {
        const changes = transactions.take(unpackMariadb(event, format), format);
        for (const change of changes instanceof Promise ? await changes : changes) yield change;
        if (transactions.hasReleased) yield* transactions.released(format);
      }
    }
  } catch (error) {
    throw asCorrupt(error);
  }
}

/** Before the first format description there is only the rotate that names the file. */
const noFormat: Format = {
  checksum: false,
  serverVersion: '',
  isMariadb: false,
  postHeader: Buffer.alloc(0),
};
