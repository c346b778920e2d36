// Serves a write of declared routes: it waits while an owner changes, then goes to the owner, once. Only a write that the fence has
// refused, which has not been executed, is sent a second time.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { LegacyAnswer, LegacyManner, LegacyWrite } from '../acl/http.ts';
import type { Capability, Route, WriteRoute } from '../capability/capability.ts';
import { type Answers, atMostEach } from './answers.ts';
import { faultCodeOf, isNeverSent, ServiceFault } from './ask-service.ts';
import type { Consult } from './consult.ts';
import { type FaultCode, faultOf, faults, UpstreamError } from './errors.ts';
import { traceOf } from './headers.ts';
import type { Identities } from './identity-bridge.ts';
import { dress } from './legacy-manner.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Passage } from './passage.ts';
import type { Pins } from './pins.ts';
import { readBody } from './request-body.ts';
import { idsOf } from './request-id.ts';
import type { ServeLegacy } from './serve-legacy.ts';
import { translateWrite } from './translate-write.ts';
import type { Upstream } from './upstream.ts';
import type { Entered, Entry, WriteGroup } from './write-group.ts';

export type ServeWriteDeps = {
  readonly toLegacy: ServeLegacy;
  readonly answers: Answers;
  readonly pins: Pins;
  readonly groupOf: (route: Route) => WriteGroup | undefined;
  /** Asks both sides how fences and holds stand. */
  readonly look: () => Promise<void>;
  readonly identities: Identities | undefined;
  readonly consult: Consult;
  readonly upstream: (name: string) => Upstream;
  readonly manner: LegacyManner;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly log: Logger;
};

type Headers = Readonly<Record<string, string>>;

type Write = {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly passage: Passage;
  readonly route: WriteRoute;
  readonly capability: Capability | undefined;
  readonly group: WriteGroup;
};

export type ServeWrite = (
  request: FastifyRequest,
  reply: FastifyReply,
  passage: Passage,
  route: WriteRoute,
) => void | Promise<void>;

/**
 * Nobody else can execute it, and to its client it is a write like any other: it is waited for like one that is forwarded. But while the
 * owner changes not for longer than `serviceMsMax`: what is in flight keeps everybody waiting, and a service that hangs must not keep the writes.
 */
function patience(group: WriteGroup, { serviceMsMax, upstreamMsMax }: Limits): () => number {
  const begun = performance.now();
  return () => {
    const leftMs = upstreamMsMax - (performance.now() - begun);
    return Math.min(leftMs, serviceMsMax - group.changingMs());
  };
}

export function createServeWrite(deps: ServeWriteDeps): ServeWrite {
  const { toLegacy, answers, pins, limits, metrics, log } = deps;
  const isTimeToLog = atMostEach(10_000);

  const namesOf = ({ capability, route }: Write) => [
    ...(capability ? [capability.name] : []),
    ...(route.alsoWrites ?? []),
  ];
  const clientOf = ({ request, passage }: Write) => ({ request: request.raw, origin: passage.origin });

  /** It is in flight until the exchange is over. */
  function executeOnLegacy(write: Write, { freeSlot }: Entered, body?: Buffer): void {
    const { request, reply, passage, capability, group } = write;
    metrics.chose(capability?.name ?? 'none', 'legacy', 'write');
    toLegacy(request, reply, passage, {
      body,
      wrote: () => pins.wrote(clientOf(write), namesOf(write), 'legacy'),
      ended() {
        group.leave();
        freeSlot?.();
      },
    });
  }

  async function answerAsLegacy(write: Write, answer: LegacyAnswer, cookie?: string): Promise<void> {
    const { request, reply, passage } = write;
    const { headers, method } = request;
    const dressed = await dress(answer, deps.manner, {
      method,
      ifNoneMatch: headers['if-none-match'],
      acceptEncoding: headers['accept-encoding'],
    });
    reply.hijack();
    answers.observe(passage, 'service', dressed.status);
    if (reply.raw.destroyed) return;
    reply.raw
      .writeHead(dressed.status, [...answers.complete(passage, dressed.headers, cookie)])
      .end(dressed.body);
  }

  function fail(write: Write, error: unknown): void {
    const { request, reply, passage, capability } = write;
    const isFault = error instanceof ServiceFault;
    const reason = isFault ? error.reason : error instanceof UpstreamError ? error.code : 'unexpected';
    const code: FaultCode = isFault ? faultCodeOf(error.reason) : faultOf(error);
    // Nothing was executed when it was never sent, or legacy could not be asked beforehand.
    const wrote = isFault && !isNeverSent(error.reason);
    const cookie = wrote ? pins.wrote(clientOf(write), namesOf(write), 'service') : undefined;
    if (isTimeToLog(`${capability?.name} ${reason}`))
      log.error(
        { err: error, capability: capability?.name, reason, ...idsOf(request, passage.trace) },
        'a write could not be executed by the service',
      );
    answers.observe(passage, 'service', faults[code].status);
    answers.refuse(reply, code, cookie);
  }

  function refuseUntranslated({ request, reply, passage, route, capability }: Write): void {
    if (isTimeToLog(route.path))
      log.error(
        {
          capability: capability?.name,
          method: route.method,
          path: route.path,
          ...idsOf(request, passage.trace),
        },
        'the service owns, and this write has no translator: it is refused. Roll back, or declare one',
      );
    answers.refuse(reply, 'write_untranslated');
  }

  function turnAway({ request, reply, passage, capability }: Write, entry: Exclude<Entry, Entered>): void {
    if (entry.is === 'gone') return void reply.hijack();
    if (isTimeToLog(`held ${entry.why}`))
      log.warn(
        { capability: capability?.name, why: entry.why, ...idsOf(request, passage.trace) },
        'a write was not executed',
      );
    answers.refuse(reply, 'write_held');
  }

  /** The service is asked, in flight. @returns whether the fence refused it */
  async function askService(write: Write, legacy: LegacyWrite, headers: Headers): Promise<boolean> {
    const { route, capability, group } = write;
    const { trace } = write.passage;
    if (!capability || !route.translate) {
      group.leave();
      refuseUntranslated(write);
      return false;
    }
    const { service } = capability;
    const moreMs = patience(group, limits);
    metrics.chose(capability.name, 'service', 'write');
    try {
      const result = await translateWrite(route.translate, legacy, {
        upstream: deps.upstream(service.upstream),
        consult: (path, method) => deps.consult(clientOf(write), method, path, trace, moreMs),
        headers,
        trace,
        limits,
        moreMs,
        isRefusal: service.isRefusal,
        isError: route.isError,
      }).finally(() => group.leave());
      if (result.is === 'refused') return true;
      const { answer, wrote } = result;
      const cookie = wrote ? pins.wrote(clientOf(write), namesOf(write), 'service') : undefined;
      await answerAsLegacy(write, answer, cookie);
    } catch (error) {
      fail(write, error);
    }
    return false;
  }

  /** Reads the body, which is not in flight yet, and sends it to who owns then. */
  async function execute(write: Write): Promise<void> {
    const { request, reply, passage, capability } = write;
    let legacy: LegacyWrite;
    let headers: Headers;
    let body: Buffer | undefined;
    try {
      body = await readBody(request.raw, limits.writeBytesMax);
      if (body === undefined) return void reply.hijack();
      const { target } = passage;
      const user = await deps.identities?.userOf(request.headers.cookie);
      headers = {
        ...traceOf(request.headers, passage.trace),
        ...(await deps.identities?.headersFor(user, capability?.name ?? '')),
      };
      legacy = {
        method: request.method,
        path: target.path,
        query: new URLSearchParams(target.query),
        contentType: request.headers['content-type'],
        body,
        user,
      };
    } catch (error) {
      return fail(write, error);
    }
    // How long a slow client takes to send its body is not held against it.
    const since = performance.now();
    for (let isRetry = false; ; isRetry = true) {
      if (reply.raw.destroyed) return void reply.hijack();
      const entered = await write.group.enter(since, reply.raw, false);
      if (entered.is !== 'entered') return turnAway(write, entered);
      if (entered.to === 'legacy') return executeOnLegacy(write, entered, body);
      const isRefused = await askService(write, legacy, headers);
      entered.freeSlot?.();
      if (!isRefused) return;
      if (isRetry) return answers.refuse(reply, 'write_held');
      metrics.refusalRetried(capability?.name ?? 'none');
      await deps.look();
    }
  }

  /** Its turn has come: legacy gets it as it comes; for the service its body is read first. */
  function proceed(write: Write, entered: Entered): void | Promise<void> {
    const { route, capability, group } = write;
    if (!capability || entered.to === 'legacy') return executeOnLegacy(write, entered);
    group.leave();
    if (!route.translate) {
      entered.freeSlot?.();
      return refuseUntranslated(write);
    }
    return execute(write).finally(entered.freeSlot);
  }

  return (request, reply, passage, route) => {
    const group = deps.groupOf(route);
    if (!group) return toLegacy(request, reply, passage);
    const capability = passage.match?.capability;
    const write: Write = { request, reply, passage, route, capability, group };
    const entry = group.enter(passage.startedAt, reply.raw, true);
    if (!(entry instanceof Promise)) return proceed(write, entry);
    return entry.then((late) => {
      if (passage.trace) passage.trace.heldMs = performance.now() - passage.startedAt;
      return late.is === 'entered' ? proceed(write, late) : turnAway(write, late);
    });
  };
}
