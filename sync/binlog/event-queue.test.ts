import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { EventQueue } from './event-queue.ts';

test('a queue that is never empty lets go of what was taken', async () => {
  const socket = { pause: () => undefined, resume: () => undefined };
  const queue = new EventQueue(socket, 1_000_000);
  const taken: WeakRef<Buffer>[] = [];
  for (let index = 0; index < 5; index++) queue.push(Buffer.alloc(1_000));
  for (let index = 0; index < 20_000; index++) {
    queue.push(Buffer.alloc(1_000));
    const event = queue.take();
    if (event && index % 1_000 === 0) taken.push(new WeakRef(event));
  }
  expect(queue.queuedBytes).toBe(5_000);
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  // A WeakRef holds its target until the end of the turn in which it was made or read.
  await new Promise((resolve) => setImmediate(resolve));
  if (typeof collect === 'function') collect();
  expect(taken.slice(0, -2).filter((each) => each.deref())).toEqual([]);
});
