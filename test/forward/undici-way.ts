// The way that was replaced: undici's pool behind the same exchange, as a peer to compare with.
import { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { AnswerHandler, Answering, Asked } from '../../facade/call.ts';
import { ClientBody } from '../../facade/request-body.ts';
import type { Way } from './stage.ts';

/** @returns a stream, which undici reads */
function readable(body: ClientBody): Readable {
  let isFlowing = false;
  const stream = new Readable({
    read() {
      if (isFlowing) body.resume();
      else {
        isFlowing = true;
        body.flow({
          take: (chunk) => stream.push(chunk),
          ended: () => void stream.push(null),
          failed: (error) => void stream.destroy(error),
        });
      }
    },
    destroy(error, done) {
      body.leave();
      done(error);
    },
  });
  return stream.on('error', () => {});
}

const answering = (controller: Dispatcher.DispatchController): Answering => ({
  get rawHeaders() {
    const raw = controller.rawHeaders;
    return Array.isArray(raw)
      ? raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))
      : [];
  },
  pause: () => controller.pause(),
  resume: () => controller.resume(),
  abort: (error) => controller.abort(error),
  giveBack() {},
});

export function undiciWay(origin: string): Way {
  const pool = new Pool(origin, {
    connections: 4_096,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 64 * 1024,
  });
  return {
    dispatch({ method, path, headers, body }: Asked, handler: AnswerHandler) {
      const stream = body instanceof ClientBody ? readable(body) : body;
      pool.dispatch({ method: method as Dispatcher.HttpMethod, path, headers: [...headers], body: stream }, {
        onRequestStart: (controller) => handler.onRequestStart(answering(controller)),
        onRequestSent: () => handler.onRequestSent?.(),
        onResponseStart: (controller, status) => handler.onResponseStart(answering(controller), status),
        onResponseData: (controller, chunk) => handler.onResponseData(answering(controller), chunk),
        onResponseEnd: (controller) => handler.onResponseEnd(answering(controller)),
        onResponseError: (controller, error) => handler.onResponseError(answering(controller), error),
      } as Dispatcher.DispatchHandler);
    },
    destroy: () => pool.destroy(),
  };
}
