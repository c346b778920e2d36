// A look at a read that legacy was asked first: what the service's reads are compared with. Only so many a second, and only while a flag
// decides: legacy says its errors in the body, and its bodies are not parsed for nothing.
import type { ServerResponse } from 'node:http';
import type { ReadRoute } from '../capability/capability.ts';
import { jsonOrText } from './ask.ts';
import { Capture } from './capture.ts';
import type { HeaderList } from './headers.ts';
import type { ReadTally } from './tallies.ts';
import { whenOver } from './when-over.ts';

/** Who is told of an answer of legacy's while it goes out. */
export type Listener = Pick<Capture, 'begins' | 'data'>;

const bytesMax = 64 * 1_024;
const looksPerSecondMax = 50;

class LegacyLook implements Listener {
  readonly #startedAt: number;
  readonly #inner: Capture | undefined;
  #status = 0;
  #ms: number | undefined;

  constructor(startedAt: number, inner: Capture | undefined) {
    this.#startedAt = startedAt;
    this.#inner = inner;
  }

  begins(status: number, headers: HeaderList): void {
    this.#status = status;
    this.#ms = performance.now() - this.#startedAt;
    this.#inner?.begins(status, headers);
  }

  data(chunk: Buffer): void {
    this.#inner?.data(chunk);
  }

  /** The answer is over: what it was goes into the tally. */
  async ended(tally: ReadTally, response: ServerResponse, isError: ReadRoute['isError']): Promise<void> {
    if (this.#ms === undefined) {
      // No answer of legacy's: the facade has given one of its own, or the client has left.
      if (response.writableFinished) tally.saw('legacy', performance.now() - this.#startedAt, true);
      return;
    }
    if (!response.writableFinished) return;
    tally.saw('legacy', this.#ms, this.#status >= 500 || (await this.#saysError(isError)));
  }

  async #saysError(isError: ReadRoute['isError']): Promise<boolean> {
    const answer = isError && (await this.#inner?.read());
    if (!isError || answer === undefined || typeof answer === 'string' || answer.text === undefined)
      return false;
    try {
      return isError({ status: answer.status, body: jsonOrText(answer.text) });
    } catch {
      return false; // a form that it does not know: then it is no error that it knows
    }
  }
}

export class LegacyLooks {
  #second = 0;
  #thisSecond = 0;

  /**
   * @param capture what the shadow keeps of the same answer
   * @returns who must be told of the answer instead of `capture`
   */
  begin(
    tally: ReadTally,
    { isError }: Pick<ReadRoute, 'isError'>,
    response: ServerResponse,
    startedAt: number,
    capture: Capture | undefined,
  ): Listener | undefined {
    const second = Math.floor(startedAt / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#thisSecond = 0;
    }
    if (this.#thisSecond >= looksPerSecondMax) return capture;
    this.#thisSecond += 1;
    const look = new LegacyLook(startedAt, capture ?? (isError && new Capture(bytesMax)));
    whenOver(response, () => void look.ended(tally, response, isError));
    return look;
  }
}
