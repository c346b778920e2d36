// Serves one request: what nobody declares passes to legacy at once; reads and writes have a file each.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { BanyanConfig, Route } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import { createAnswerCache } from './answer-cache.ts';
import { createAnswers } from './answers.ts';
import type { Choice } from './choose-side.ts';
import type { Consult } from './consult.ts';
import type { FaultCode } from './errors.ts';
import type { Forwarder } from './forwarder.ts';
import type { Identities } from './identity-bridge.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Passage } from './passage.ts';
import type { Pins } from './pins.ts';
import type { NamedUser } from './properties.ts';
import { idsOf } from './request-id.ts';
import { createServeLegacy } from './serve-legacy.ts';
import { createServeRead } from './serve-read.ts';
import { createServeWrite } from './serve-write.ts';
import type { Shadow } from './shadow.ts';
import type { Tallies } from './tallies.ts';
import type { Upstream } from './upstream.ts';
import type { WriteGroup } from './write-group.ts';
import type { OwnerWrites } from './writes.ts';

export type ServeDeps = {
  readonly config: BanyanConfig;
  readonly forwarder: Forwarder;
  readonly consult: Consult;
  readonly upstream: (name: string) => Upstream;
  readonly standing: (capability: string) => Standing | undefined;
  readonly choose: (passage: Passage) => Choice;
  readonly namedUser: NamedUser;
  readonly writes: Pick<OwnerWrites, 'group'>;
  readonly look: () => Promise<void>;
  readonly pins: Pins;
  readonly shadow: Pick<Shadow, 'begin'>;
  readonly tallies: Tallies;
  readonly identities: Identities | undefined;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly isStopping: () => boolean;
};

export type Serve = {
  serve(request: FastifyRequest, reply: FastifyReply, passage: Passage): void;
  /** An answer by the facade itself. */
  refuse(reply: FastifyReply, code: FaultCode, pinCookie?: string, retryAfterSeconds?: number): void;
};

/** What each route writes, found once. */
function groupsOf({ capabilities, legacy }: BanyanConfig, writes: ServeDeps['writes']) {
  const groups = new Map<Route, WriteGroup>();
  const add = (route: Route, own: readonly string[]) => {
    if (route.kind !== 'write') return;
    const names = [...own, ...(route.alsoWrites ?? [])];
    if (names.length > 0) groups.set(route, writes.group(names));
  };
  for (const { name, routes } of capabilities) for (const route of routes) add(route, [name]);
  for (const route of legacy.routes ?? []) add(route, []);
  return groups;
}

export function createServe(deps: ServeDeps): Serve {
  const { config, metrics, log } = deps;
  const answers = createAnswers(metrics, deps.isStopping);
  const routes = [...config.capabilities.flatMap((each) => each.routes), ...(config.legacy.routes ?? [])];
  const isCaching = routes.some((route) => route.kind === 'read' && route.cache);
  const cache = isCaching ? createAnswerCache(deps.limits.cacheBytesMax) : undefined;
  const toLegacy = createServeLegacy({ ...deps, legacy: deps.upstream('legacy'), answers, cache });
  const groups = groupsOf(config, deps.writes);
  const { manner } = config.legacy;
  const read = createServeRead({ ...deps, answers, toLegacy, manner });
  const write = createServeWrite({
    ...deps,
    answers,
    toLegacy,
    manner,
    groupOf: (route) => groups.get(route),
  });

  return {
    refuse: answers.refuse,
    serve(request, reply, passage) {
      const { choice, match } = passage;
      if (!match) {
        metrics.chose('none', choice.side, choice.reason);
        return toLegacy(request, reply, passage);
      }
      const { route } = match;
      const served =
        route.kind === 'read' ? read(request, reply, passage, route) : write(request, reply, passage, route);
      // Not returned: Fastify would answer by itself once the promise is kept, amid the fall-back.
      served?.catch((error) => {
        log.error({ err: error, ...idsOf(request, passage.trace) }, 'the facade failed');
        answers.refuse(reply, 'upstream_failed');
      });
    },
  };
}
