import { expect, test } from 'vitest';
import type { AnswerHandler, Answering } from './call.ts';
import { Pool } from './pool.ts';
import { takeBuffer } from './read-buffers.ts';
import { upstream } from './test-servers.ts';

const answers = 40;
const answer = Buffer.alloc(300_000, 'x');

/** Gives each part back at once. */
class Taken implements AnswerHandler {
  readonly all = Promise.withResolvers<number>();
  #bytes = 0;

  onRequestStart(): void {}
  onResponseStart(): void {}
  onResponseData(answering: Answering, chunk: Buffer): void {
    this.#bytes += chunk.length;
    answering.giveBack(chunk);
  }
  onResponseEnd(): void {
    this.all.resolve(this.#bytes);
  }
  onResponseError(_answering: Answering, error: Error): void {
    this.all.reject(error);
  }
}

test('connections that have had large answers leave what they were read into to others', async () => {
  let asked = 0;
  const everybody = Promise.withResolvers<void>();
  await using server = await upstream(async (_request, response) => {
    asked += 1;
    if (asked === answers) everybody.resolve();
    await everybody.promise; // each on a connection of its own
    response.end(answer);
  });
  const pool = new Pool(server.url, { upstreamConnectionsMax: answers, connectMsMax: 3_000 });
  try {
    const taken = Array.from({ length: answers }, () => new Taken());
    for (const each of taken)
      pool.dispatch({ method: 'GET', path: '/', headers: [], body: null, mayRepeat: false }, each);
    for (const each of taken) expect(await each.all.promise).toBe(answer.length);
    const large = Array.from({ length: 32 }, () => takeBuffer().length);
    expect(new Set(large)).toEqual(new Set([512 * 1024]));
    expect(takeBuffer().length).toBe(64 * 1024);
  } finally {
    await pool.destroy();
  }
});
