// Stands before a service, and answers as it is told: as the service does, or as one that fails.
import { setTimeout as delay } from 'node:timers/promises';
import { upstream } from '../../facade/test-servers.ts';

export type Mode = 'well' | 'error' | 'says-error' | 'slow' | 'silent' | 'gone';

export type Front = {
  readonly url: string;
  /** How many requests have come. */
  asked(): number;
  becomes(mode: Mode): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** @param target the service's URL */
export async function startFront(target: string): Promise<Front> {
  let mode: Mode = 'well';
  let asked = 0;
  const front = await upstream(async (request, response) => {
    asked += 1;
    if (mode === 'silent') return;
    if (mode === 'gone') return void request.socket.resetAndDestroy();
    if (mode === 'error' || mode === 'says-error')
      return void response
        .writeHead(mode === 'error' ? 500 : 200, { 'content-type': 'application/json' })
        .end('{"title":"out of memory"}');
    if (mode === 'slow') await delay(1_000);
    try {
      const answer = await fetch(new URL(request.url ?? '/', target));
      response
        .writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
        .end(Buffer.from(await answer.arrayBuffer()));
    } catch {
      response.destroy();
    }
  });
  return {
    url: front.url,
    asked: () => asked,
    becomes(next) {
      mode = next;
    },
    [Symbol.asyncDispose]: () => front[Symbol.asyncDispose](),
  };
}
