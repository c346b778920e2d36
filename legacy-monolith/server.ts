// node server.ts: the shop. One line on standard output when it listens; everything else goes to standard error.
import { OptionsError, readServerOptions, type ServerOptions } from './options.ts';
import { createShop } from './shop.ts';

const stopMsMax = 10_000;

/** One line that says what to do. */
function fault(error: unknown, options: ServerOptions | undefined): string {
  if (error instanceof OptionsError || !(error instanceof Error))
    return String(error instanceof Error ? error.message : error);
  const code = 'code' in error ? String(error.code) : '';
  const call = 'syscall' in error ? error.syscall : undefined;
  const { host, port, database } = options?.database ?? { host: '', port: 0, database: '' };
  if (code === 'EADDRINUSE')
    return `port ${options?.port} of ${options?.host} is in use: end what uses it, or set LEGACY_PORT (0: any free port)`;
  if (call === 'listen')
    return `cannot listen on ${options?.host}:${options?.port} (LEGACY_HOST, LEGACY_PORT): ${error.message}`;
  if (call === 'scandir') return `cannot read the schema (LEGACY_MIGRATIONS): ${error.message}`;
  if (call === 'mkdir') return `cannot make the folder of photos (LEGACY_UPLOADS): ${error.message}`;
  const reason = (error.message || code).replace(/\s*\n\s*/g, ' ');
  return `cannot start with the database ${database} at ${host}:${port} (LEGACY_DATABASE_URL): ${reason}`;
}

let options: ServerOptions | undefined;
try {
  options = readServerOptions(process.env);
  const { app, stop } = await createShop(options);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      setTimeout(() => app.server.closeAllConnections(), stopMsMax).unref();
      void stop().then(() => process.exit(0));
    });
  // What listen() gives back is the address with the real port.
  const listening = await app.listen({ host: options.host, port: options.port });
  process.stdout.write(`${JSON.stringify({ listening })}
`);
} catch (error) {
  process.stderr.write(`legacy-monolith: ${fault(error, options)}\n`);
  process.exit(1);
}
