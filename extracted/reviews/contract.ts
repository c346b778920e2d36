// openapi.json is the contract and the validator in one: each route takes its schemas from there.
import type { FastifySchema } from 'fastify';
import document from './openapi.json' with { type: 'json' };

type Content = Record<string, { schema: object }>;
type Operation = {
  parameters?: { name: string; in: string; required?: boolean | undefined; schema: object }[] | undefined;
  requestBody?: { content: Content } | undefined;
  responses: Record<string, { description?: string; $ref?: string; content?: Content | undefined }>;
};

export const contractId = 'contract';

/** For app.addSchema: what the schemas of the routes refer to. */
export const contractSchemas = { $id: contractId, components: { schemas: document.components.schemas } };

/**
 * The schemas of one operation.
 * @param path as in the contract: /reviews/{id}
 */
export function contractOf(method: 'get' | 'post' | 'put' | 'patch' | 'delete', path: string): FastifySchema {
  const operations: Record<string, Record<string, Operation>> = document.paths;
  const operation = operations[path]?.[method];
  if (operation === undefined) throw new Error(`openapi.json has no ${method} ${path}`);
  const schema: FastifySchema = {
    params: parametersOf(operation, 'path'),
    querystring: parametersOf(operation, 'query'),
    response: responsesOf(operation),
  };
  const body = operation.requestBody?.content['application/json']?.schema;
  if (body !== undefined) schema.body = absolute(body);
  return schema;
}

function parametersOf(operation: Operation, place: 'path' | 'query'): object {
  const parameters = operation.parameters?.filter((parameter) => parameter.in === place) ?? [];
  return {
    type: 'object',
    additionalProperties: false,
    required: parameters.filter((parameter) => parameter.required).map((parameter) => parameter.name),
    properties: Object.fromEntries(parameters.map((parameter) => [parameter.name, parameter.schema])),
  };
}

function responsesOf(operation: Operation): Record<string, object> {
  const schemas: Record<string, object> = {};
  for (const [status, { content }] of Object.entries(operation.responses)) {
    const schema = content?.['application/json']?.schema;
    if (schema !== undefined) schemas[status] = absolute(schema);
  }
  return schemas;
}

/** A reference within the document, seen from outside of it. */
function absolute(schema: object): object {
  return '$ref' in schema && typeof schema.$ref === 'string'
    ? { $ref: `${contractId}${schema.$ref}` }
    : schema;
}
