// Plays cases both ways, and says where they differ without a reason that has a name.
import { Pool } from '../../facade/pool.ts';
import { type Answer, type Case, caseOf, type Exchange } from './cases.ts';
import { openStage, type Seen } from './stage.ts';
import { undiciWay } from './undici-way.ts';
import type { Heard } from './wire.ts';

type Difference = {
  readonly name: string;
  readonly why: string;
  readonly holds: (answer: Answer) => boolean;
};

/** Where ours answers otherwise than undici, and why it is right. */
const differences: readonly Difference[] = [
  {
    name: 'an unknown coding',
    why: 'RFC 9112, 6.1 and 6.3: who does not know a coding cannot know where the body ends. Undici takes what is coded for the body.',
    holds: ({ lie }) => lie === 'an unknown coding',
  },
  {
    name: 'chunks by HTTP/1.0',
    why: 'RFC 9112, 6.1: with chunks, the framing of an HTTP/1.0 message is faulty. Undici unwraps them.',
    holds: ({ lie }) => lie === 'chunks by HTTP/1.0',
  },
  {
    name: 'an unasked 100',
    why: 'RFC 9110, 15.2: a client must be able to take 1xx that it did not ask for. Undici ends the connection.',
    holds: ({ lie }) => lie === 'an unasked 100',
  },
  {
    name: 'too many headers',
    why: 'RFC 9110, 5.4: a recipient may bound what it takes: here 1,000 headers. Undici bounds their bytes only.',
    holds: ({ lie }) => lie === 'too many headers',
  },
  {
    name: 'a reset is no end',
    why: 'RFC 9112, 8: an answer without a length is whole when its connection is closed, not when it is lost. Undici takes either.',
    holds: ({ lie, framing }) => lie === 'reset amid it' && framing === 'connection',
  },
];

export const differenceNames = differences.map(({ name }) => name);

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

/**
 * An upstream that ends a kept connection without a word may do so as the next request is on its way. Whom that meets is chance, and
 * a 502 the right answer (RFC 9112, 9.3.1: nothing is sent twice); but it must be rare.
 */
const isLost = ({ exchanges }: Case, one: Seen, other: Seen): boolean =>
  exchanges.some(
    ({ answer }, at) =>
      answer.lie === 'nothing' && one.client[at]?.status === 502 && other.client[at]?.isWhole === true,
  );

/** @returns what is wrong, for each seed; and how often each named difference was met */
export async function compareWays(
  seeds: readonly number[],
): Promise<{ wrong: string[]; met: Map<string, number> }> {
  await using ours = await openStage(pool);
  await using theirs = await openStage(undiciWay);
  const wrong: string[] = [];
  const met = new Map<string, number>();
  let lost = 0;
  for (const seed of seeds) {
    const given = caseOf(seed);
    const [one, other] = await Promise.all([ours.play(given), theirs.play(given)]);
    for (const what of broken(given, one))
      wrong.push(`seed ${seed}: ${what} (${given.exchanges.map(about).join(' | ')})`);
    if (isLost(given, one, other)) {
      lost += 1;
      continue;
    }
    for (const [at, exchange] of given.exchanges.entries()) {
      const { ask, answer } = exchange;
      const got = [one, other].map(({ upstream }) => upstream.get(ask.id)?.join('\n') ?? '');
      // Of what was not answered, or too soon, it is chance how far it came.
      const isAnswered = one.client[at]?.isWhole === true && answer.lie !== 'too soon';
      if (isSame(one.client[at], other.client[at]) && (got[0] === got[1] || !isAnswered)) continue;
      const named =
        differences.find(({ holds }) => holds(answer))?.name ?? (other.isHung ? 'undici hangs' : undefined);
      if (named !== undefined) {
        met.set(named, (met.get(named) ?? 0) + 1);
        break; // what follows on this connection differs, too
      }
      wrong.push(
        `seed ${seed}: ours ${tell(one.client[at])}, theirs ${tell(other.client[at])} (${about(exchange)})${got[0] === got[1] ? '' : `\n${got[0]?.slice(0, 600)}\n---\n${got[1]?.slice(0, 600)}`}`,
      );
      break;
    }
  }
  const lostMax = 2 + seeds.length / 500;
  if (lost > lostMax) wrong.push(`${lost} met the end of a kept connection, not ${lostMax} at most`);
  return { wrong, met };
}
