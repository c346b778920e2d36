// The embedded flags on the admin listener, as an Unleash says them to its clients: for replicas on other machines, which have
// no flag file, and for any other SDK. Shown to a token that can do nothing else.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { SharedFlags } from './client-features.ts';
import { StartError } from './errors.ts';

export type FlagFeed = {
  /** Undefined: nobody may read the flags here. */
  readonly token: string | undefined;
  /** Undefined when the flags are an Unleash's: it says them itself, and newer. */
  readonly read: () => SharedFlags | undefined;
};

const prefix = '/api/client/';
/** Of this token and of the admin listener's own. */
export const tokenLengthMin = 16;

/** @param url the route's, as declared */
export const isFeed = (url: string | undefined): boolean => url?.startsWith(prefix) === true;

const digest = (text: string) => createHash('sha256').update(text).digest();

/** SDKs send the token as it is, curl and people as a bearer's. */
const shownBy = ({ headers }: FastifyRequest) => (headers.authorization ?? '').replace(/^Bearer /, '');

const refuse = (reply: FastifyReply, status: number, code: string, message: string) =>
  reply.code(status).send({ error: { code, message } });

/** @throws StartError for a token that is none, or that could do more than read flags */
export function serveFlagFeed(app: FastifyInstance, { token, read }: FlagFeed, adminToken: string): void {
  if (token !== undefined && (token.length < tokenLengthMin || token === adminToken))
    throw new StartError(
      token === adminToken
        ? 'the token of the flags is the admin token, and whoever reads flags could do all the rest'
        : `the token of the flags has ${token.length} characters, and ${tokenLengthMin} are the least`,
      'set BANYAN_FLAGS_TOKEN (or BANYAN_FLAGS_TOKEN_FILE) to one of its own; "openssl rand -hex 16" makes one',
    );
  const expected = token === undefined ? undefined : digest(token);
  app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      // Neither is a reason for an SDK to give up: a 404 is asked again.
      if (expected === undefined)
        return refuse(reply, 404, 'not_shared', 'Flags are shared here once BANYAN_FLAGS_TOKEN is set.');
      if (!timingSafeEqual(digest(shownBy(request)), expected))
        return refuse(reply, 401, 'no_token', 'Send BANYAN_FLAGS_TOKEN of this facade as "Authorization".');
    });
    // What SDKs say of themselves and of their use of flags is of no interest here.
    scope.addContentTypeParser('*', (_request, body, done) => {
      body.on('end', () => done(null)).on('error', done);
      body.resume();
    });
    scope.get(`${prefix}features`, (request, reply) => {
      const flags = read();
      if (flags === undefined)
        return refuse(reply, 404, 'not_shared', 'The flags of this facade are of an Unleash: ask that one.');
      reply.header('etag', flags.etag);
      // A proxy between may have made the tag a weak one.
      return request.headers['if-none-match']?.replace(/^W\//, '') === flags.etag
        ? reply.code(304).send()
        : reply.type('application/json; charset=utf-8').send(flags.body);
    });
    for (const word of ['register', 'metrics'])
      scope.post(`${prefix}${word}`, (_request, reply) => reply.code(202).send());
  });
}
