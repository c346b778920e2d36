// What was seen of a case, and whether it is safe: pure. The same for every proxy; what only the facade promises is said apart.
import type { AnswerCase, Meant, RequestCase } from './case.ts';
import { readRequestsLeniently } from './read-leniently.ts';
import { type Asked, type ReadAnswer, readAnswers, readRequests, valuesOf } from './read-strictly.ts';
import type { Slice } from './recording-upstream.ts';

/** Of a request that was sent after the case: its own answer; the end of the connection; another answer; nothing. */
export type Next = 'its own' | 'closed' | 'wrong' | 'silent';

export type Seen = {
  readonly heard: string;
  readonly isClosed: boolean;
  /** What arrived, that of the requests afterwards too. */
  readonly slices: readonly Slice[];
  /** On the same connection. */
  readonly after: Next;
  /** Of another client, on a connection that it keeps. */
  readonly second: Next;
};

export type Judged = {
  /** Harm, or no answer that means anything. */
  readonly faults: readonly string[];
  /** What the facade promises besides, and did not keep. */
  readonly ours: readonly string[];
};

const laterRequest = /GET \/(?:second|after)\/\d+ HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n/g;

const isLater = (target: string) => target.startsWith('/after/') || target.startsWith('/second/');

const matches = (meant: string | RegExp, text: string) =>
  typeof meant === 'string' ? meant === text : meant.test(text);

const isMeant = (meant: Meant | undefined, seen: { method: string; target: string; body?: string }) =>
  meant !== undefined &&
  meant.method === seen.method &&
  matches(meant.target, seen.target) &&
  (seen.body === undefined || matches(meant.body ?? '', seen.body));

/** Its last part may be of a request that was broken off. */
function begun(rest: string): { method: string; target: string } | undefined {
  const [, method, target] = /^(\S+) (\S+) /.exec(rest) ?? [];
  return method === undefined || target === undefined ? undefined : { method, target };
}

const brief = (text: string) => JSON.stringify(text.length > 160 ? `${text.slice(0, 160)}…` : text);

type Arrived = { number: number; method: string; target: string; body?: string };

/** Requests in the order in which they were answered; one that was not whole has no body. */
function arrived(slices: readonly Slice[], faults: string[]): Arrived[] {
  const all: Arrived[] = [];
  for (const { bytes, answered } of slices) {
    if (bytes === '') continue;
    const read = readRequests(bytes);
    if (read.fault !== undefined) {
      faults.push(`upstream got ${read.fault}, in ${brief(read.rest)}`);
      continue;
    }
    const lenient = readRequestsLeniently(bytes).requests;
    const isSame =
      lenient.length === read.requests.length &&
      lenient.every((each, index) => each.body === read.requests[index]?.body);
    if (!isSame) faults.push(`upstream got what can be read in two ways: ${brief(bytes)}`);
    read.requests.forEach(({ method, target, body }, index) => {
      all.push({ number: answered[index] ?? Number.MAX_SAFE_INTEGER, method, target, body });
    });
    const part = begun(read.rest);
    if (part) all.push({ number: Number.MAX_SAFE_INTEGER, ...part });
    else if (read.rest !== '') faults.push(`upstream got ${brief(read.rest)}`);
  }
  return all.filter(({ target }) => !isLater(target)).sort((one, other) => one.number - other.number);
}

const describe = (requests: readonly Arrived[]) =>
  requests.map(({ method, target, body }) => `${method} ${target} ${brief(body ?? '…')}`).join(', ');

const echoOf = ({ headers }: ReadAnswer) => valuesOf(headers, 'x-echo')[0];

const isDefined = (status: number) => (status >= 100 && status < 500) || status === 501 || status === 505;

function laterFaults({ after, second }: Seen, mayWait: boolean): string[] {
  const faults: string[] = [];
  if (after === 'wrong') faults.push('the next request on the same connection got the answer of another');
  if (after === 'silent' && !mayWait) faults.push('the next request on the same connection got no answer');
  if (second !== 'its own') faults.push(`another client's request was answered: ${second}`);
  return faults;
}

export const askedOf = ({ send, readings }: RequestCase): Asked[] => {
  const version = / HTTP\/1\.0\r?\n/.test(send[0] ?? '') ? '1.0' : '1.1';
  return (readings[0] ?? []).map(({ method }) => ({ method, version }));
};

export const bytesOf = (slices: readonly Slice[]) => slices.map(({ bytes }) => bytes).join('');

const isOneOf = (allowed: string | readonly string[], seen: string) =>
  typeof allowed === 'string' ? allowed === seen : allowed.includes(seen);

export function judgeRequest(given: RequestCase, seen: Seen): Judged {
  const faults: string[] = [];
  const requests = arrived(seen.slices, faults);
  const isRead = (reading: readonly Meant[]) =>
    requests.every((each, index) => isMeant(reading[index], each));
  if (requests.length > 0 && !given.readings.some(isRead)) faults.push(`upstream got ${describe(requests)}`);
  // That of the requests afterwards is not the case's.
  const sent = bytesOf(seen.slices).replace(laterRequest, '');
  if (given.never?.test(sent)) faults.push(`upstream got ${given.never} in ${brief(sent)}`);
  if (requests.length > 0 && given.always && !given.always.test(sent))
    faults.push(`upstream did not get ${given.always} in ${brief(sent)}`);

  const read = readAnswers(seen.heard, askedOf(given), seen.isClosed);
  if (read.fault !== undefined) faults.push(`the client got ${read.fault}, in ${brief(read.rest)}`);
  const finals = read.answers.filter(
    (each) => (each.status >= 200 || each.status === 101) && !isLater(echoOf(each)?.split(' ')[2] ?? ''),
  );
  for (const { status } of finals) if (!isDefined(status)) faults.push(`the answer is ${status}`);
  const echoes = finals.map(echoOf).filter((echo) => echo !== undefined);
  const numbers = requests
    .filter(({ number }) => number < Number.MAX_SAFE_INTEGER)
    .map(({ number }) => number);
  if (!echoes.every((echo, index) => Number(echo.split(' ')[0]) === numbers[index]))
    faults.push(`answers are not those of the requests: ${echoes.join(', ')}`);
  if (finals.length === 0) {
    if (!seen.isClosed && given.without !== 'an end') faults.push('no answer');
    if (seen.isClosed && given.without === undefined) faults.push('closed without an answer');
  }
  faults.push(...laterFaults(seen, given.without === 'an end'));

  const ours: string[] = [];
  const statuses = finals.map(({ status }) => status).join(' ');
  if (!isOneOf(given.ours, statuses))
    ours.push(`answered "${statuses}" instead of ${brief(String(given.ours))}`);
  if (given.oursNever?.test(sent)) ours.push(`upstream got ${given.oursNever} in ${brief(sent)}`);
  if (given.oursAlways && !given.oursAlways.test(sent))
    ours.push(`upstream did not get ${given.oursAlways} in ${brief(sent)}`);
  return { faults, ours };
}

export function judgeAnswer(given: AnswerCase, seen: Seen): Judged {
  const faults: string[] = [];
  const read = readAnswers(seen.heard, [given.asked], seen.isClosed);
  if (read.fault !== undefined) faults.push(`the client got ${read.fault}, in ${brief(seen.heard)}`);
  const finals = read.answers.filter(
    (each) => (each.status >= 200 || each.status === 101) && !isLater(echoOf(each)?.split(' ')[2] ?? ''),
  );
  const [first] = finals;
  // A head that was not sent yet when the rest turned out to be wrong is none.
  let came = first ? String(first.status) : 'broken';
  if (first && !first.isWhole) {
    came = 'broken';
    if (!seen.isClosed) faults.push('the answer does not end');
  } else if (first && first.status < 500 && !given.bodies.includes(first.body))
    faults.push(`the answer looks whole, with ${brief(first.body)}`);
  if (!first && !seen.isClosed) faults.push('no answer');
  if (finals.length > 1) faults.push(`${finals.length} answers to one request`);
  if (first?.status === 101) faults.push('a switch of protocols that nobody asked for');
  const own = seen.heard.split(/(?=HTTP\/1\.\d 200 OK\r\n(?:[^\r]+\r\n)*?X-Echo: \d+ GET \/after)/i)[0] ?? '';
  if (given.never?.test(own)) faults.push(`the client got ${given.never} in ${brief(own)}`);
  if (given.always && first && first.status < 500 && !given.always.test(own))
    faults.push(`the client did not get ${given.always} in ${brief(own)}`);
  faults.push(...laterFaults(seen, false));
  const ours: string[] = [];
  if (!isOneOf(given.ours, came)) ours.push(`answered "${came}" instead of ${brief(String(given.ours))}`);
  if (given.oursNever?.test(own)) ours.push(`the client got ${given.oursNever} in ${brief(own)}`);
  return { faults, ours };
}
