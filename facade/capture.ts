// What a client was answered, kept for a comparison: of a request that was chosen for the shadow, and never more of it than a limit.
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { jsonText, type LegacyAnswer } from '../acl/http.ts';
import type { Side } from '../capability/capability.ts';
import type { ComparedAnswer } from './compare.ts';
import { firstOf, type HeaderList } from './headers.ts';

const decoders = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const;
const isDecoded = (coding: string): coding is keyof typeof decoders => Object.hasOwn(decoders, coding);

/** Why an answer cannot be compared. */
export type Unkept = 'too_large' | 'unreadable' | 'abandoned';

export class Capture {
  readonly #bytesMax: number;
  #side: Side = 'legacy';
  #status = 0;
  #headers: HeaderList = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #answer: LegacyAnswer | undefined;
  #unkept: Unkept | undefined = 'abandoned';

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Who answered. */
  get side(): Side {
    return this.#side;
  }

  /**
   * The service has answered, in legacy's words.
   * @param headers as sent; of a 304 they are those of the answer that the client has
   */
  served(answer: LegacyAnswer, headers: HeaderList): void {
    this.#side = 'service';
    this.#status = answer.status;
    this.#headers = headers;
    this.#answer = answer;
    this.#unkept = undefined;
  }

  /** Legacy's answer begins. */
  begins(status: number, headers: HeaderList): void {
    this.#side = 'legacy';
    this.#status = status;
    this.#headers = headers;
    this.#answer = undefined;
    this.#unkept = undefined;
  }

  /** A part of legacy's body, which is written over afterwards. */
  data(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#bytesMax) this.#chunks.push(Buffer.from(chunk));
    else {
      this.#chunks = [];
      this.#unkept = 'too_large';
    }
  }

  /** It is not to be compared after all. */
  leave(): void {
    this.#chunks = [];
    this.#answer = undefined;
    this.#unkept = 'abandoned';
  }

  /** After the last byte has gone out. */
  async read(): Promise<ComparedAnswer | Unkept> {
    if (this.#unkept !== undefined) return this.#unkept;
    const [status, headers] = [this.#status, this.#headers];
    if (this.#answer !== undefined) {
      const text = jsonText(this.#answer.body);
      return text.length > this.#bytesMax ? 'too_large' : { status, headers, text };
    }
    if (status === 304 || status === 204) return { status, headers, text: undefined };
    const body = Buffer.concat(this.#chunks, this.#bytes);
    const coding = firstOf(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
    if (coding === 'identity') return { status, headers, text: body.toString('utf8') };
    if (!isDecoded(coding)) return 'unreadable';
    try {
      const decoded = await decoders[coding](body, { maxOutputLength: this.#bytesMax });
      return { status, headers, text: decoded.toString('utf8') };
    } catch (error) {
      return error instanceof RangeError ? 'too_large' : 'unreadable';
    }
  }
}
