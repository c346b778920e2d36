// Serves a read of a declared route: from the side that was chosen, or from where the client's own writes are, and from legacy when
// the service cannot and may be stood in for.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { LegacyManner } from '../acl/http.ts';
import type { Capability, ReadRoute } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import { type Answers, atMostEach } from './answers.ts';
import { faultCodeOf, isAnswered, ServiceFault } from './ask-service.ts';
import type { Capture } from './capture.ts';
import type { Choice } from './choose-side.ts';
import { faults } from './errors.ts';
import { traceOf } from './headers.ts';
import { LegacyLooks } from './legacy-look.ts';
import { dress } from './legacy-manner.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Pin } from './own-writes.ts';
import type { Passage } from './passage.ts';
import type { Pins } from './pins.ts';
import type { NamedUser } from './properties.ts';
import { idsOf } from './request-id.ts';
import type { ServeLegacy } from './serve-legacy.ts';
import type { Shadow } from './shadow.ts';
import type { ReadTally, Tallies } from './tallies.ts';
import { translateRead } from './translate.ts';
import type { Upstream } from './upstream.ts';

export type ServeReadDeps = {
  readonly toLegacy: ServeLegacy;
  readonly answers: Answers;
  readonly pins: Pins;
  readonly shadow: Pick<Shadow, 'begin'>;
  readonly tallies: Tallies;
  readonly standing: (capability: string) => Standing | undefined;
  /** Chooses again: the fences have been looked at. */
  readonly choose: (passage: Passage) => Choice;
  readonly namedUser: NamedUser;
  readonly manner: LegacyManner;
  readonly upstream: (name: string) => Upstream;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly log: Logger;
};

export type ServeRead = (
  request: FastifyRequest,
  reply: FastifyReply,
  passage: Passage,
  route: ReadRoute,
) => void | Promise<void>;

export function createServeRead(deps: ServeReadDeps): ServeRead {
  const { toLegacy, answers, pins, manner, limits, metrics, log } = deps;
  const isTimeToLog = atMostEach(10_000);
  const legacyLooks = new LegacyLooks();

  /** What the client has written, of all that the route reads. */
  function pinsOf(request: FastifyRequest, { match, origin }: Passage, { alsoReads }: ReadRoute): Pin[] {
    const found: Pin[] = [];
    const client = { request: request.raw, origin };
    const own = match?.capability && pins.pinOf(client, match.capability.name);
    if (own) found.push(own);
    for (const capability of alsoReads ?? []) {
      const pin = pins.pinOf(client, capability);
      if (pin) found.push(pin);
    }
    return found;
  }

  /** For a route that cannot follow its client: waits until what it wrote has come to legacy, for so long at most. */
  async function arrived(behind: readonly Pin[], reply: FastifyReply): Promise<void> {
    const wait = async (pin: Pin) => {
      const isFresh = await pins.untilFresh(pin, 'legacy', limits.ownReadMsMax, reply.raw);
      metrics.readOwnWrite(pin.capability, isFresh ? 'waited' : 'late');
    };
    await Promise.all(behind.map(wait));
  }

  /** The side where the client's own write is seen. */
  async function sideFor(passage: Passage, pin: Pin): Promise<Choice> {
    let { choice } = passage;
    let judged = pins.judge(pin, choice.side);
    if (judged === 'refresh-first') {
      await pins.refresh();
      choice = deps.choose(passage);
      judged = pins.judge(pin, choice.side);
    }
    metrics.readOwnWrite(pin.capability, judged === 'fresh' ? 'fresh' : 'owner');
    // Also when it is still not known at the pin's epoch: the fences cannot be read (or the cookie is invented, by who reads it).
    return judged === 'fresh' ? choice : { side: pin.side, reason: 'own-write' };
  }

  async function fromService(
    request: FastifyRequest,
    reply: FastifyReply,
    passage: Passage,
    capability: Capability,
    route: ReadRoute,
    pin: Pin | undefined,
    capture: Capture | undefined,
    tally: ReadTally | undefined,
  ): Promise<void> {
    const { target, trace } = passage;
    if (!route.translate) return toLegacy(request, reply, passage, undefined, false, capture);
    const { headers, method } = request;
    // Once retired, legacy follows no more; and it may be behind what this client wrote.
    const mayFallBack = () =>
      route.safe &&
      deps.standing(capability.name)?.phase !== 'retired' &&
      (pin === undefined || pins.judge(pin, 'legacy') === 'fresh');
    try {
      const asked = { path: target.path, query: new URLSearchParams(target.query) };
      const answer = await translateRead(route.translate, asked, {
        upstream: deps.upstream(capability.service.upstream),
        headers: traceOf(headers, trace),
        trace,
        limits,
        client: reply.raw,
        isSafe: route.safe,
        isError: route.isError,
      });
      const saysError = route.isError?.(answer) === true;
      if (saysError && mayFallBack())
        throw new ServiceFault('said_error', 'the answer of the service calls itself an error');
      const dressed = await dress(answer, manner, {
        method,
        ifNoneMatch: headers['if-none-match'],
        acceptEncoding: headers['accept-encoding'],
      });
      reply.hijack();
      answers.observe(passage, 'service', dressed.status);
      tally?.saw('service', performance.now() - passage.startedAt, answer.status >= 500 || saysError);
      capture?.served(answer, dressed.headers);
      reply.raw.writeHead(dressed.status, [...answers.complete(passage, dressed.headers)]).end(dressed.body);
    } catch (error) {
      if (reply.raw.destroyed) return void reply.hijack();
      const reason = error instanceof ServiceFault ? error.reason : 'translation';
      // By an open breaker it was not asked: what opened that has been counted.
      if (reason !== 'breaker') tally?.saw('service', performance.now() - passage.startedAt, true);
      const fallback = mayFallBack();
      if (isTimeToLog(`${capability.name} ${reason}`))
        log.error(
          { err: error, capability: capability.name, reason, fallback, ...idsOf(request, trace) },
          'the service could not answer a read',
        );
      if (fallback) {
        metrics.fellBack(capability.name, reason);
        if (trace) trace.fallback = reason;
        // Who does not answer is not asked again; whose answer was of no use answers differently.
        const compared = isAnswered(reason) ? capture : undefined;
        return toLegacy(request, reply, passage, undefined, false, compared);
      }
      const code = faultCodeOf(reason);
      answers.observe(passage, 'service', faults[code].status);
      answers.refuse(reply, code);
    }
  }

  const serve: ServeRead = (request, reply, passage, route) => {
    const { choice, match } = passage;
    const capability = match?.capability;
    const own = pinsOf(request, passage, route);
    const [pin] = own;
    const go = ({ side, reason }: Choice) => {
      metrics.chose(capability?.name ?? 'none', side, reason);
      const capture = deps.shadow.begin(request, reply, passage, route);
      // What a flag has decided is compared; the rest is not a sample of anything.
      const tally =
        capability && (reason === 'flag-on' || reason === 'flag-off')
          ? deps.tallies.of(capability.name)
          : undefined;
      if (capability && side === 'service')
        return fromService(request, reply, passage, capability, route, pin, capture, tally);
      const listener = tally
        ? legacyLooks.begin(tally, route, reply.raw, passage.startedAt, capture)
        : capture;
      return toLegacy(request, reply, passage, undefined, route.cache && own.length === 0, listener);
    };
    if (capability && choice.reason !== 'untranslated' && choice.reason !== 'also-reads')
      return pin ? sideFor(passage, pin).then(go) : go(choice);
    const behind = own.filter((each) => pins.judge(each, 'legacy') !== 'fresh');
    return behind.length === 0 ? go(choice) : arrived(behind, reply).then(() => go(choice));
  };

  return (request, reply, passage, route) => {
    const asked = deps.namedUser(passage, request.headers.cookie);
    if (!asked) return serve(request, reply, passage, route);
    return asked.then((properties) => {
      const known = { ...passage, properties };
      return serve(request, reply, { ...known, choice: deps.choose(known) }, route);
    });
  };
}
