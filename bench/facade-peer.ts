// @fastify/http-proxy as its README shows, for the facade's benchmark.
//   node bench/facade-peer.ts UPSTREAM
import proxy from '@fastify/http-proxy';
import fastify from 'fastify';

const server = fastify();
server.register(proxy, { upstream: process.argv[2] ?? '', http2: false });
console.log(JSON.stringify({ listening: await server.listen({ host: '127.0.0.1', port: 0 }) }));
process.once('SIGTERM', () => process.exit());
