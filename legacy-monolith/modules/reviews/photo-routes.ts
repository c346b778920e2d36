import { createReadStream } from 'node:fs';
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Database } from '../../database.ts';
import { notFoundPage } from '../../html.ts';
import { answer, param, Refusal } from '../../wire.ts';
import { requireMember } from '../members/session.ts';
import { whatToSend } from './photo-range.ts';
import { findPhoto, type Photo, photoBytesMax, photoExtension, storePhoto } from './photos.ts';

function sendPhoto(reply: FastifyReply, photo: Photo): FastifyReply {
  const sending = whatToSend(reply.request.headers, photo);
  reply
    .header('etag', photo.etag)
    .header('last-modified', photo.modified.toUTCString())
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'public, max-age=86400');
  if (sending.kind === 'not modified') return reply.code(304).send();
  if (sending.kind === 'unsatisfiable')
    return reply.code(416).header('content-range', `bytes */${photo.size}`).send();
  const { start, end } = sending.kind === 'part' ? sending : { start: 0, end: photo.size - 1 };
  if (sending.kind === 'part') reply.code(206).header('content-range', `bytes ${start}-${end}/${photo.size}`);
  reply.header('content-type', photo.contentType).header('content-length', end - start + 1);
  return reply.send(
    reply.request.method === 'HEAD' ? undefined : createReadStream(photo.path, { start, end }),
  );
}

/** Upload and download. The upload writes no row: a review names its photos when it is written. */
export function photoRoutes(app: FastifyInstance, db: Database, uploads: string): void {
  app.register(async (scope) => {
    await scope.register(multipart, { limits: { files: 1, fields: 10, fileSize: photoBytesMax } });
    scope.post('/api/review/photo.do', async (request, reply) => {
      await requireMember(db, request);
      if (!request.isMultipart()) throw new Refusal('1001');
      const part = await request.file();
      if (part === undefined) throw new Refusal('1001');
      const bytes = await part.toBuffer().catch((error: unknown) => {
        throw error instanceof scope.multipartErrors.RequestFileTooLargeError ? new Refusal('5002') : error;
      });
      const extension = photoExtension(bytes);
      if (extension === undefined) throw new Refusal('5001');
      return answer(reply, { fileNm: await storePhoto(uploads, bytes, extension) });
    });
  });

  app.get('/photos/:name', async (request, reply) => {
    const photo = await findPhoto(uploads, param(request.params, 'name') ?? '');
    return photo === undefined ? notFoundPage(reply) : sendPhoto(reply, photo);
  });
}
