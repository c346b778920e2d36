// Questions of the facade's own to an upstream, beside the clients': they do not wait behind them, and do not count among them.
import { ask, type Bounds, type Question, type Told } from './ask.ts';
import { faultOf, UpstreamError } from './errors.ts';
import type { Upstream } from './upstream.ts';

/** @throws as `ask` does */
export type Ask = (question: Question, bounds: Bounds) => Promise<Told>;

/** Another instance is asked only when the first could not be reached. */
export function askAside(upstream: Pick<Upstream, 'instanceAside' | 'sawAside'>): Ask {
  return async (question, bounds) => {
    const instance = upstream.instanceAside();
    if (!instance) throw new UpstreamError('upstream_unavailable', 'no instance is known');
    const askAt = async (at: typeof instance): Promise<Told> => {
      try {
        const told = await ask(at.aside, question, bounds);
        upstream.sawAside(at, told.status < 500);
        return told;
      } catch (error) {
        // Too large an answer is one.
        upstream.sawAside(at, error instanceof RangeError);
        throw error;
      }
    };
    try {
      return await askAt(instance);
    } catch (error) {
      const other = faultOf(error) === 'upstream_unavailable' ? upstream.instanceAside(instance) : undefined;
      if (!other) throw error;
      return askAt(other);
    }
  };
}
