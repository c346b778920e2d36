// Answers of legacy that may be kept for other clients, on routes that say so: undici's cache (RFC 9111) over an instance's connections.
// Legacy itself says which, and for how long: Cache-Control, Expires, Vary and validators are kept to.
import { cacheStores, type Dispatcher, interceptors } from 'undici';
import type { AnswerHandler, Answering, Dispatch } from './call.ts';
import type { HeaderList } from './headers.ts';

export type AnswerCache = {
  /**
   * The same connections, behind the cache, which is one for all instances.
   * @param origin http://host as the client says it: hosts have answers of their own
   */
  over(pool: Dispatch, origin: string): Dispatch;
};

type Controller = Dispatcher.DispatchController;

/** An answer as the cache tells of it, kept or not. */
class Told implements Answering {
  readonly #controller: Controller;

  constructor(controller: Controller) {
    this.#controller = controller;
  }

  get rawHeaders(): HeaderList {
    const list: string[] = [];
    const raw = this.#controller.rawHeaders;
    if (Array.isArray(raw))
      for (const part of raw) list.push(typeof part === 'string' ? part : part.toString('latin1'));
    return list;
  }

  pause(): void {
    this.#controller.pause();
  }

  resume(): void {
    this.#controller.resume();
  }

  abort(error: Error): void {
    this.#controller.abort(error);
  }

  /** The cache may have it. */
  giveBack(): void {}
}

const toHandler = (handler: AnswerHandler): Dispatcher.DispatchHandler => ({
  onRequestStart: (controller) => handler.onRequestStart(new Told(controller)),
  onResponseStart: (controller, status) => handler.onResponseStart(new Told(controller), status),
  onResponseData: (controller, chunk) => handler.onResponseData(new Told(controller), chunk),
  onResponseEnd: (controller) => handler.onResponseEnd(new Told(controller)),
  onResponseError: (controller, error) => handler.onResponseError(new Told(controller), error),
});

/** As undici has headers: names in lower case, and a list of values where a name comes more than once. */
function parsed(headers: HeaderList): Record<string, string | string[]> {
  const found = new Map<string, string | string[]>();
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]?.toLowerCase() ?? '';
    const value = headers[at + 1] ?? '';
    const before = found.get(name);
    found.set(name, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(found);
}

/** What the cache asks our connections on behalf of. */
class Asking implements AnswerHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  #controller: Controller | undefined;

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  #of(answering: Answering): Controller {
    let isPaused = false;
    let isAborted = false;
    let reason: Error | null = null;
    this.#controller ??= {
      get paused() {
        return isPaused;
      },
      get aborted() {
        return isAborted;
      },
      get reason() {
        return reason;
      },
      get rawHeaders() {
        return [...answering.rawHeaders];
      },
      rawTrailers: [],
      pause() {
        isPaused = true;
        answering.pause();
      },
      resume() {
        isPaused = false;
        answering.resume();
      },
      abort(error) {
        isAborted = true;
        reason = error;
        answering.abort(error);
      },
    };
    return this.#controller;
  }

  onRequestStart(answering: Answering): void {
    this.#handler.onRequestStart?.(this.#of(answering), undefined);
  }

  onResponseStart(answering: Answering, status: number): void {
    this.#handler.onResponseStart?.(this.#of(answering), status, parsed(answering.rawHeaders), '');
  }

  onResponseData(answering: Answering, chunk: Buffer): void {
    this.#handler.onResponseData?.(this.#of(answering), chunk);
  }

  onResponseEnd(answering: Answering): void {
    this.#handler.onResponseEnd?.(this.#of(answering), {});
  }

  onResponseError(answering: Answering, error: Error): void {
    this.#handler.onResponseError?.(this.#of(answering), error);
  }
}

/** As the cache gives them back. */
function listed(headers: Dispatcher.DispatchOptions['headers']): string[] {
  if (Array.isArray(headers)) return headers;
  const list: string[] = [];
  for (const [name, value] of Object.entries(headers ?? {}))
    for (const each of Array.isArray(value) ? value : [value]) list.push(name, String(each));
  return list;
}

/** @param bytesMax of all that is kept; what was used last goes last */
export function createAnswerCache(bytesMax: number): AnswerCache {
  const store = new cacheStores.MemoryCacheStore({
    maxSize: bytesMax,
    maxCount: 100_000,
    maxEntrySize: Math.max(Math.floor(bytesMax / 16), 1),
  });
  const intercept = interceptors.cache({ store, methods: ['GET'], type: 'shared' });
  const known = new WeakMap<Dispatch, Dispatcher['dispatch']>();
  return {
    over(pool, origin) {
      let cached = known.get(pool);
      if (!cached) {
        // Not by compose(): it would keep the answers of each instance by itself, and those of different hosts together.
        cached = intercept(({ method, path, headers }, handler) => {
          const asked = { method, path, headers: listed(headers), body: null };
          pool.dispatch(asked, new Asking(handler));
          return true;
        });
        known.set(pool, cached);
      }
      const dispatch = cached;
      return {
        dispatch({ method, path, headers, body }, handler) {
          // Of a request with a body nothing is kept.
          if (body !== null) return pool.dispatch({ method, path, headers, body }, handler);
          const list = [...headers];
          dispatch({ method: method as 'GET', path, headers: list, origin }, toHandler(handler));
        },
      };
    },
  };
}
