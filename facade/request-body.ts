// A client's body: passed on as it comes, or read whole; bounded in both cases.
import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { UpstreamError } from './errors.ts';

export const hasBody = (raw: IncomingMessage) =>
  raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0;

/**
 * The client's body, counted. It stands between the client's socket and undici, which destroys the stream it
 * reads when an upstream answers early: the socket must live on to carry that answer.
 */
export function boundedBody(raw: IncomingMessage, bytesMax: number): Transform {
  let bytes = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > bytesMax) done(new UpstreamError('body_too_large', `more than ${bytesMax} bytes`));
      else done(null, chunk);
    },
  });
  raw.pipe(body);
  const gone = () => body.destroy(new Error('the client went away'));
  raw.once('error', gone);
  raw.once('close', () => {
    if (!raw.complete) gone();
  });
  body.once('error', () => {}); // undici reports it with the exchange
  body.once('close', () => {
    raw.unpipe(body);
    raw.resume();
  });
  return body;
}

const nothing = Buffer.alloc(0);

/**
 * @returns empty when there is none; undefined when the client left before its end
 * @throws UpstreamError body_too_large; what is left is not read
 */
export async function readBody(raw: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  if (!hasBody(raw)) return nothing;
  const tooLarge = () => new UpstreamError('body_too_large', `more than ${bytesMax} bytes`);
  if (Number(raw.headers['content-length'] ?? 0) > bytesMax) throw tooLarge();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) return void chunks.push(chunk);
    raw.off('data', take).pause();
    reject(tooLarge());
  };
  raw
    .on('data', take)
    .once('end', () => resolve(Buffer.concat(chunks)))
    .once('error', () => resolve(undefined))
    .once('close', () => resolve(undefined)); // after the end, it says nothing new
  return promise;
}
