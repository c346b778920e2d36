// Listening, with errors that say which option to change.
import type { FastifyInstance } from 'fastify';
import { codeOf, StartError } from './errors.ts';

/**
 * @returns the URL that it listens on
 * @throws StartError when the address cannot be had
 */
export async function listen(
  app: Pick<FastifyInstance, 'listen'>,
  host: string,
  port: number,
  flag: string,
  env: string,
): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (cause) {
    const hint = `choose another one with ${flag} or ${env}`;
    switch (codeOf(cause)) {
      case 'EADDRINUSE':
        throw new StartError(`port ${port} on ${host} is in use`, hint, cause);
      case 'EACCES':
        throw new StartError(`port ${port} may not be used by this user`, hint, cause);
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
        throw new StartError(
          `${host} is not an address of this machine`,
          `choose another one with ${flag.replace('port', 'host')}`,
          cause,
        );
      default:
        throw cause;
    }
  }
}
