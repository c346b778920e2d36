// Runs a case against a proxy: the case's own bytes, then a request on the same connection where it is still open, and one of another
// client, who keeps a connection all the while.
import { setTimeout as pause } from 'node:timers/promises';
import type { AnswerCase, RequestCase } from './case.ts';
import { askedOf, type Next, type Seen } from './judge.ts';
import { connectRaw, type RawClient } from './raw-client.ts';
import { type Asked, readAnswers, valuesOf } from './read-strictly.ts';
import type { RecordingUpstream } from './recording-upstream.ts';

export type Stage = {
  readonly port: number;
  readonly upstream: RecordingUpstream;
  /** The other client's. */
  second: RawClient | undefined;
  requests: number;
};

const answerMsMax = 1_500;
/** No answer is due. */
const waitMsMax = 150;

/** Asks over a connection on which nothing else is under way. */
async function ask(
  client: RawClient,
  target: string,
  before: number,
  asked: readonly Asked[] = [],
): Promise<Next> {
  const answers = () => readAnswers(client.heard().slice(before), asked, client.isClosed()).answers;
  const own = () =>
    answers().find(
      ({ status, headers }) => status >= 200 && valuesOf(headers, 'x-echo')[0]?.endsWith(` ${target}`),
    );
  const others = answers().length;
  client.say(`GET ${target} HTTP/1.1\r\nHost: shop.example\r\n\r\n`);
  if (await client.until(() => own() !== undefined || client.isClosed(), answerMsMax))
    return own() ? 'its own' : 'closed';
  return answers().length > others ? 'wrong' : 'silent';
}

/** Its connection may have been closed meanwhile: that is nobody's fault, and it comes again. */
async function askSecond(stage: Stage): Promise<Next> {
  for (let tries = 0; ; tries += 1) {
    if (stage.second?.isClosed()) stage.second = undefined;
    stage.second ??= await connectRaw(stage.port);
    const { second } = stage;
    const before = second.heard().length;
    stage.requests += 1;
    const target = `/second/${stage.requests}`;
    const next = await ask(second, target, before);
    if (next === 'closed' && tries < 2) continue;
    const { answers, rest, fault } = readAnswers(second.heard().slice(before), [], second.isClosed());
    const isAlone = answers.length === 1 && rest === '' && fault === undefined;
    second.close();
    stage.second = undefined;
    if (next === 'its own' && isAlone) {
      stage.second = second;
      return next;
    }
    return next === 'its own' ? 'wrong' : next;
  }
}

async function see(
  stage: Stage,
  client: RawClient,
  asked: readonly Asked[],
  msMax: number,
  lateMs = 0,
): Promise<Omit<Seen, 'slices'>> {
  const hasAnswer = () =>
    client.isClosed() ||
    client.answers(asked).answers.some(({ status, isWhole }) => isWhole && (status >= 200 || status === 101));
  const came = await client.until(hasAnswer, msMax);
  const hasSwitched = client.answers(asked).answers.some(({ status }) => status === 101);
  // What comes late is to find the connection idle: what an upstream says while it is asked is an answer to everybody.
  if (lateMs > 0) await pause(lateMs);
  const second = await askSecond(stage);
  let after: Next = 'closed';
  if (came && !client.isClosed() && !hasSwitched) {
    stage.requests += 1;
    after = await ask(client, `/after/${stage.requests}`, 0, asked);
    // What came of the case itself may be read as an answer to that: it is judged with the case.
    if (after === 'wrong' && client.isClosed()) after = 'closed';
  }
  const isClosed = client.isClosed();
  client.close();
  return { heard: client.heard(), isClosed, after, second };
}

export async function runRequest(stage: Stage, given: RequestCase): Promise<Seen> {
  const mark = stage.upstream.mark();
  const client = await connectRaw(stage.port);
  for (const [index, bytes] of given.send.entries()) {
    if (index > 0) await pause(2);
    client.say(bytes);
  }
  const isToWait = given.without === 'an end' && [given.ours].flat().includes('');
  const seen = await see(stage, client, askedOf(given), isToWait ? waitMsMax : answerMsMax);
  return { ...seen, slices: stage.upstream.since(mark) };
}

export async function runAnswer(stage: Stage, given: AnswerCase): Promise<Seen> {
  const { upstream } = stage;
  const { method, version, headers = '' } = given.asked;
  const mark = upstream.mark();
  upstream.script = given;
  const client = await connectRaw(stage.port);
  client.say(`${method} /said HTTP/${version}\r\nHost: shop.example\r\n${headers}\r\n`);
  const seen = await see(stage, client, [given.asked], answerMsMax, given.late === undefined ? 0 : 10);
  upstream.script = undefined;
  return { ...seen, slices: upstream.since(mark) };
}
