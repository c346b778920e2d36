// Plays cases both ways, and says where they differ without a reason that has a name.
import { Pool } from '../../facade/pool.ts';
import { type Case, caseOf, type Exchange, type Lie } from './cases.ts';
import { openStage, type Seen } from './stage.ts';
import { undiciWay } from './undici-way.ts';
import type { Heard } from './wire.ts';

/** Where ours answers otherwise than undici, and why it is right. */
const differences: Partial<Record<Lie, string>> = {
  'an unknown coding':
    'RFC 9112, 6.1 and 6.3: who does not know a transfer coding cannot know where the body ends, nor what is in it. Undici takes the coded bytes for the body.',
  'chunks by HTTP/1.0':
    'RFC 9112, 6.1: chunks in an HTTP/1.0 message mean that its framing is faulty. Undici unwraps them.',
  'an unasked 100':
    'RFC 9110, 15.2.1: a client must be able to take a 100 that it did not ask for. Undici ends the connection.',
  'too many headers':
    'RFC 9112, 3 lets a recipient bound what it takes: 1,000 headers. Undici bounds their bytes only.',
};

const pool = (origin: string) => new Pool(origin, { upstreamConnectionsMax: 4_096, connectMsMax: 3_000 });

const tell = (heard: Heard | undefined) =>
  heard === undefined
    ? 'nothing'
    : heard.isWhole
      ? `${heard.status}, ${heard.body.length} bytes`
      : `${heard.status}, broken off`;

/** Of an answer that breaks off, how much was seen is chance. */
function isSame(one: Heard | undefined, other: Heard | undefined): boolean {
  if (!one?.isWhole && !other?.isWhole) return true;
  return (
    one?.isWhole === other?.isWhole &&
    one?.status === other?.status &&
    one?.headers === other?.headers &&
    one?.body === other?.body &&
    one?.informed.join() === other?.informed.join()
  );
}

/** What must hold whatever a peer does. */
function* broken({ exchanges }: Case, { client, upstream, isHung }: Seen): Generator<string> {
  if (isHung) yield 'it hangs';
  for (const [at, { ask, answer }] of exchanges.entries()) {
    const got = upstream.get(ask.id) ?? [];
    if (got.length > 1) yield `${ask.id} was sent ${got.length} times`;
    const heard = client[at];
    if (!heard?.isWhole || heard.status === 502) continue;
    for (const [header] of heard.headers.matchAll(/^X-Bytes: .*$/gm))
      if (header !== 'X-Bytes: \xb0\xa1\xff') yield `the bytes of a header have changed: ${ask.id}`;
    if (heard.status !== answer.status)
      yield `${ask.id} was answered with ${heard.status}, not ${answer.status}`;
    const body = ask.method === 'HEAD' ? '' : answer.body;
    if (answer.lie === 'nothing' && heard.body !== body) yield `${ask.id} was answered with another body`;
    if (!body.startsWith(heard.body)) yield `${ask.id} was answered with what is not its own`;
    if (
      (answer.lie === 'short' || answer.lie === 'reset amid it') &&
      answer.framing !== 'connection' &&
      heard.body !== body
    )
      yield `part of an answer looks whole: ${ask.id}`;
  }
}

const about = ({ ask, answer }: Exchange) =>
  `${ask.method} HTTP/${ask.version}; ${answer.lie}; ${answer.status} by ${answer.framing}${answer.isOld ? ', HTTP/1.0' : ''}, then ${answer.then}`;

/** @returns what is wrong, for each seed; and how often each named difference was met */
export async function compareWays(
  seeds: readonly number[],
): Promise<{ wrong: string[]; met: Map<Lie, number> }> {
  await using ours = await openStage(pool);
  await using theirs = await openStage(undiciWay);
  const wrong: string[] = [];
  const met = new Map<Lie, number>();
  for (const seed of seeds) {
    const given = caseOf(seed);
    const [one, other] = await Promise.all([ours.play(given), theirs.play(given)]);
    for (const what of broken(given, one))
      wrong.push(`seed ${seed}: ${what} (${given.exchanges.map(about).join(' | ')})`);
    for (const [at, exchange] of given.exchanges.entries()) {
      const { ask, answer } = exchange;
      const got = [one, other].map(({ upstream }) => upstream.get(ask.id)?.join('\n') ?? '');
      if (isSame(one.client[at], other.client[at]) && got[0] === got[1]) continue;
      if (differences[answer.lie] !== undefined) {
        met.set(answer.lie, (met.get(answer.lie) ?? 0) + 1);
        break; // what follows on this connection differs, too
      }
      wrong.push(
        `seed ${seed}: ours ${tell(one.client[at])}, theirs ${tell(other.client[at])} (${about(exchange)})${got[0] === got[1] ? '' : `\n${got[0]?.slice(0, 600)}\n---\n${got[1]?.slice(0, 600)}`}`,
      );
      break;
    }
  }
  return { wrong, met };
}
